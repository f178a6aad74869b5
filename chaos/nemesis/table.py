"""All faults, by name."""

from __future__ import annotations

from collections.abc import Mapping

from chaos.nemesis.callers import KillClient, PauseClient
from chaos.nemesis.clocks import CLOCKS
from chaos.nemesis.cuts import (
    CutPair,
    DeafLeader,
    Halves,
    IsolateFollower,
    IsolateLeader,
    LossyLinks,
    MuteLeader,
    ReconnectStorm,
    SlowLinks,
)
from chaos.nemesis.disks import DISKS
from chaos.nemesis.fault import Fault
from chaos.nemesis.kills import KillAll, KillFollower, KillLeader, RollingRestart, WipedNode
from chaos.nemesis.pauses import PauseAll, PauseFollower, PauseLeader

FAULTS: dict[str, type[Fault]] = {
    kind.name: kind
    for kind in (
        KillLeader,
        KillFollower,
        KillAll,
        PauseLeader,
        PauseFollower,
        PauseAll,
        IsolateLeader,
        IsolateFollower,
        Halves,
        CutPair,
        MuteLeader,
        DeafLeader,
        SlowLinks,
        LossyLinks,
        ReconnectStorm,
        RollingRestart,
        WipedNode,
        KillClient,
        PauseClient,
        *DISKS,
        *CLOCKS,
    )
}
ALL = "all"


def usual() -> dict[str, type[Fault]]:
    """The kinds of a run that names none: all that need nothing of the machine."""
    return {
        name: kind
        for name, kind in FAULTS.items()
        if kind.needs == "nothing" and kind.missing() is None
    }


def chosen(text: str, known: Mapping[str, type[Fault]]) -> dict[str, type[Fault]]:
    """The kinds of a list with commas; "all" is all that this machine can do.

    Raises ValueError for one that is not known, or that this machine cannot do.
    """
    if text == ALL:
        return {name: kind for name, kind in known.items() if kind.missing() is None}
    names = list(filter(None, text.split(",")))
    if not names:
        raise ValueError(f"no kind of fault is named; there are {', '.join(known)}")
    for name in names:
        if name not in known:
            raise ValueError(f"there is no fault {name}; there are {', '.join(known)}")
        if (reason := known[name].missing()) is not None:
            raise ValueError(f"{name} cannot be done here: {reason}")
    return {name: known[name] for name in names}
