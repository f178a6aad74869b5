"""All mutations, by name."""

from chaos.mutation.catalogue import (
    answers,
    damage,
    elections,
    leases,
    links,
    membership,
    objects,
    rare,
    reads,
    replication,
    room,
    storage,
    strangers,
)
from chaos.mutation.mutation import Mutation

_ALL = (
    *elections.MUTATIONS,
    *replication.MUTATIONS,
    *reads.MUTATIONS,
    *storage.MUTATIONS,
    *damage.MUTATIONS,
    *room.MUTATIONS,
    *links.MUTATIONS,
    *strangers.MUTATIONS,
    *membership.MUTATIONS,
    *leases.MUTATIONS,
    *objects.MUTATIONS,
    *answers.MUTATIONS,
    *rare.MUTATIONS,
)

MUTATIONS: dict[str, Mutation] = {mutation.name: mutation for mutation in _ALL}
assert len(MUTATIONS) == len(_ALL), "two mutations have one name"
