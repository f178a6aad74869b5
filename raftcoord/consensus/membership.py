"""Who belongs to the cluster. Pure values and functions.

A configuration entry holds the complete list and takes effect when it is appended, on every
node; the present one is the last in the log, else the snapshot's. One change at a time, and
only after the leader committed an entry of its own term.

Source: Ongaro's dissertation, §4.1 (single-server changes), §4.2.1 (learners), §4.2.2 (a
leader that removes itself); Ongaro, "bug in single-server membership changes" (raft-dev, 2015).
"""

import bisect

import msgspec


class Member(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One node of the cluster.

    peer, http: its addresses, "host:port".
    incarnation: which data folder it lives in; 0 for a member of the first configuration. What
        another incarnation acknowledged or voted does not count.
    voter: whether it votes and counts; a learner only copies the log.
    promote: a learner that becomes a voter by itself when it has caught up.
    """

    peer: str
    http: str
    incarnation: int = 0
    voter: bool = True
    promote: bool = False


class Configuration(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The members by id, in the order of their ids."""

    members: dict[str, Member]

    @property
    def voters(self) -> frozenset[str]:
        """Ids of those who vote and count."""
        return frozenset(name for name, member in self.members.items() if member.voter)

    def with_member(self, name: str, member: Member) -> "Configuration":
        """The configuration with `name` added or replaced."""
        members = {**self.members, name: member}
        return Configuration(dict(sorted(members.items())))

    def without(self, name: str) -> "Configuration":
        """The configuration without `name`."""
        return Configuration({key: value for key, value in self.members.items() if key != name})

    def promoted(self, name: str) -> "Configuration":
        """The configuration with the learner `name` as a voter."""
        learner = self.members[name]
        return self.with_member(name, msgspec.structs.replace(learner, voter=True, promote=False))


def member_problem(name: str, member: Member) -> str | None:
    """What is wrong with a member that is to be added; None when it is fine. An entry that holds
    it is on every disk before anybody dials it."""
    if not 1 <= len(name.encode()) <= 64:
        return f"the name {name!r} has not 1 to 64 bytes"
    for address in (member.peer, member.http):
        host, colon, port = address.rpartition(":")
        whole = port.isascii() and port.isdigit() and len(port) <= 5
        if not host or not colon or not whole or not 0 < int(port) <= 65535:
            return f"{address!r} is not host:port"
    if not 0 <= member.incarnation <= 1 << 48:
        return f"the incarnation {member.incarnation} has more than 48 bits"
    return None


EMPTY = Configuration({})
"""What a node knows that joins and has heard nothing yet: it neither votes nor campaigns."""

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Configuration)


def encode_configuration(configuration: Configuration) -> bytes:
    """The payload of a configuration entry."""
    return _encoder.encode(configuration)


def decode_configuration(payload: bytes) -> Configuration:
    """The configuration in an entry. Raises msgspec.DecodeError for anything else."""
    return _decoder.decode(payload)


def is_single_change(old: Configuration, new: Configuration) -> bool:
    """Whether any majority of `old` and any majority of `new` share a node (§4.1)."""
    return len(old.voters ^ new.voters) <= 1 and bool(new.voters)


class _Known(msgspec.Struct, frozen=True):
    index: int
    configuration: Configuration


class ConfigurationHistory:
    """The configurations of the log, in its order, with the snapshot's as the first."""

    def __init__(self) -> None:
        self._known: list[_Known] = [_Known(0, EMPTY)]

    @property
    def current(self) -> Configuration:
        """The one in force: the last in the log, committed or not."""
        return self._known[-1].configuration

    @property
    def index(self) -> int:
        """Where the one in force stands in the log."""
        return self._known[-1].index

    def append(self, index: int, configuration: Configuration) -> None:
        """An entry was appended at `index`."""
        self._known.append(_Known(index, configuration))

    def cut(self, index: int) -> None:
        """The entries from `index` on were deleted."""
        while len(self._known) > 1 and self._known[-1].index >= index:
            self._known.pop()

    def at(self, index: int) -> Configuration:
        """The one that was in force at `index`."""
        position = bisect.bisect_right(self._known, index, key=lambda known: known.index)
        return self._known[max(position - 1, 0)].configuration

    def forget(self, index: int) -> None:
        """Nothing before `index` will be asked for again."""
        while len(self._known) > 1 and self._known[1].index <= index:
            del self._known[0]

    def reset(self, index: int, configuration: Configuration) -> None:
        """A snapshot that ends at `index` was loaded; what the log holds behind it stays."""
        behind = [known for known in self._known if known.index > index]
        self._known = [_Known(index, configuration), *behind]
