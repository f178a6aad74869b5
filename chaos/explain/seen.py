"""What was seen of a run, as plain values. Times are virtual seconds since its begin."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Message:
    """Something that was said.

    Args:
        sent, at: when its first byte left, and when its last was delivered.
        group: of messages that are shown or hidden together; one of `GROUPS`.
        name: its kind. words: what it says.
    """

    sent: float
    at: float
    source: str
    target: str
    group: str
    name: str
    words: str


GROUPS = (
    *("vote", "append", "forward", "read", "snapshot", "other", "client"),
    *("heartbeat", "handshake"),
)
"""The last two are noise, as a rule."""


@dataclass(frozen=True, slots=True)
class Mark:
    """Something that happened at one moment on one lane.

    Args:
        kind: start, stop, open, disk, append, cut, reset, apply, restore, told, read.
        name: in a word or two. words: all of it.
    """

    at: float
    lane: str
    kind: str
    name: str
    words: str


@dataclass(frozen=True, slots=True)
class Stretch:
    """A state of a member: `kind` is a role, or `down`; `name` its term."""

    lane: str
    begin: float
    end: float
    kind: str
    name: str


@dataclass(frozen=True, slots=True)
class Trouble:
    """A fault that was done.

    Args:
        at, end: end is `at` for one that has no duration.
        lanes: the members that it hit; none where it hit all or only links.
    """

    at: float
    end: float
    name: str
    detail: str
    lanes: tuple[str, ...]
