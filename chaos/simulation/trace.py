"""One hash for all that happened in a run, so that two runs can be held against each other."""

from __future__ import annotations

import hashlib
import struct
from typing import TYPE_CHECKING

import msgspec

from chaos.simulation.observer import Observer

if TYPE_CHECKING:
    from chaos.history import Invoke, Result
    from raftcoord.machine.state import Applied, Machine

_moment = struct.Struct("<d").pack
_numbers = struct.Struct("<dQQQQ").pack
_encode = msgspec.msgpack.Encoder().encode


class Trace(Observer):
    """All messages with their times and ends, disk operations, applied entries, and what clients
    asked and heard."""

    def __init__(self) -> None:
        self._hash = hashlib.blake2b(digest_size=16)
        self._add = self._hash.update

    @property
    def hex(self) -> str:
        """The hash so far."""
        return self._hash.hexdigest()

    def delivered(self, time: float, source: str, target: str, sent: float, data: bytes) -> None:
        self._add(b"%b%b>%b %b" % (_moment(time), source.encode(), target.encode(), data))

    def wrote(self, time: float, member: str, operation: str, path: str, size: int) -> None:
        self._add(b"%b%b" % (_moment(time), f"{member} {operation} {path} {size}".encode()))

    def applied(
        self,
        time: float,
        member: str,
        index: int,
        term: int,
        stamp: int,
        payload: bytes,
        applied: Applied,
        machine: Machine,
    ) -> None:
        numbers = _numbers(time, index, term, stamp, machine.digest())
        self._add(b"%b%b" % (member.encode(), numbers))

    def invoked(self, time: float, line: Invoke) -> None:
        self._add(_encode(line))

    def answered(self, time: float, line: Result) -> None:
        self._add(_encode(line))
