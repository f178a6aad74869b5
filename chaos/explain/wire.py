"""What members said to each other, read out of the bytes that a simulated network delivered.

A delivery says from whom to whom, not on which connection. Handshakes begin with words of their
own, so each begins a new stream of its direction; later bytes belong to the newest stream in which
they make sense. What makes sense in none (garbage, a corrupted byte, bytes of a connection that was
given up) is shown as bytes.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import msgspec

from chaos.explain.seen import Message
from chaos.explain.words import describe
from chaos.simulation.ask import unframe
from raftcoord.consensus.frames import BadFrame, FrameReader
from raftcoord.consensus.handshake import Hello, Identity
from raftcoord.consensus.messages import AnyMessage

_HELLO = len(Hello.of(Identity("c", "n", 0, 0), "t", bytes(16)).pack())
_OPENING = 10
_PROOF = 32
_CHALLENGE = 24
_ENOUGH = 4
"""Bytes of the word that a handshake begins with, by which it is known."""
_HELLO_WORD, _CHALLENGE_WORD = b"raftcord", b"raftchal"
_ARRAY_OF_THREE, _SHORT_TEXT = b"\x93", bytes(range(0xA0, 0xC0))
"""The first bytes of what msgpack writes (specification, "formats")."""
_answer = msgspec.msgpack.Decoder(tuple[int, int, bytes]).decode
_request = msgspec.msgpack.Decoder(tuple[str, str, bytes]).decode


Part = tuple[int, bytes]
"""Of a handshake: its bytes, and the word that it begins with."""


@dataclass
class _Stream:
    """One direction of a connection.

    Args:
        steps: the parts of the handshake that are still to come.
        buffer: the begin of a part or a frame, which left at `sent`.
    """

    steps: list[Part]
    buffer: bytes = b""
    sent: float = 0.0
    read: list[Message] = field(default_factory=list)
    is_new: bool = True
    _reader: FrameReader = field(default_factory=FrameReader)
    _ahead: bytes = b""

    def take(self, source: str, target: str, sent: float, time: float, data: bytes) -> bool:
        """Read on; False, and nothing is changed, where the bytes do not belong here."""
        begin = self.sent if self.buffer else sent
        rest, steps, read = self.buffer + data, list(self.steps), []
        while rest:
            if steps:
                size, word = steps[0]
                if not _may_be(rest, size, word):
                    return False
                if len(rest) < size:
                    break
                rest = rest[size:]
                del steps[0]
                read.append(Message(begin, time, source, target, "handshake", "handshake", ""))
                continue
            frame = self._frame(rest)
            if frame is None:
                return False
            messages, size = frame
            if not messages:
                break
            for message in messages:
                group, name, words = describe(message)
                read.append(Message(begin, time, source, target, group, name, words))
            rest = rest[size:]
            begin = sent
        self.steps, self.buffer, self.sent = steps, rest, begin
        self.read, self.is_new = read, False
        return True

    def _frame(self, data: bytes) -> tuple[list[AnyMessage], int] | None:
        """The messages of the frame that begins here, and its size; none where it is not whole.

        None where it is no frame. What was read of it before is not read again.
        """
        if not (self._ahead and data.startswith(self._ahead)):
            self._reader, self._ahead = FrameReader(AnyMessage), b""
        try:
            for at in range(len(self._ahead), len(data)):
                # One byte at a time: where a frame ends is the reader's business.
                self._reader.buffer()[:1] = data[at : at + 1]
                for messages in self._reader.received(1):
                    self._ahead = b""
                    return messages, at + 1
        except BadFrame:
            self._ahead = b""
            return None
        self._ahead = data
        return [], 0


def _may_be(rest: bytes, size: int, word: bytes) -> bool:
    # Behind its proof a dialer says nothing before it is answered.
    fits = bool(word) or len(rest) <= size
    return fits and _agree(rest, word)


class Wire:
    """Reads all that members say to each other in a run."""

    def __init__(self) -> None:
        self._streams: dict[tuple[str, str], list[_Stream]] = {}

    def take(
        self, time: float, source: str, target: str, sent: float, data: bytes
    ) -> list[Message]:
        """The messages that are complete with these bytes, each with its way."""
        streams = self._streams.setdefault((source, target), [])
        streams += [_Stream(steps) for steps in _begun(data)]
        del streams[:-4]
        taken = [
            stream
            for stream in streams
            if stream.is_new and stream.take(source, target, sent, time, data)
        ]
        if taken:
            return taken[-1].read
        for stream in reversed(streams):
            if stream.take(source, target, sent, time, data):
                return stream.read
        return [Message(sent, time, source, target, "other", "bytes", f"{len(data)} bytes")]


def _begun(data: bytes) -> list[list[Part]]:
    """The handshakes that may begin here; a word that was cut short may be either."""
    if len(data) < _ENOUGH:
        return []
    found = []
    if _agree(data, _CHALLENGE_WORD):
        found.append([(_CHALLENGE, _CHALLENGE_WORD), (_HELLO + _PROOF, _HELLO_WORD)])
    # An acceptor's hello comes with its proof; a dialer's is read opening first.
    if _agree(data, _HELLO_WORD) and len(data) <= _OPENING:
        found.append([(_HELLO, _HELLO_WORD), (_PROOF, b"")])
    return found


def _agree(data: bytes, word: bytes) -> bool:
    return data[: len(word)] == word[: len(data)]


def asked(time: float, source: str, target: str, sent: float, data: bytes) -> Message | None:
    """What a client and a member said to each other; None for the rest of something longer."""
    said = _in_http(data) or _in_frames(data)
    return None if said is None else Message(sent, time, source, target, "client", *said)


def _in_http(data: bytes) -> tuple[str, str] | None:
    first = data.partition(b"\r\n")[0].decode("latin-1")
    if first.startswith("HTTP/1.1 "):
        return "answer", first[9:]
    return ("request", first[:-9]) if first.endswith(" HTTP/1.1") else None


def _in_frames(data: bytes) -> tuple[str, str] | None:
    if data[4:5] != _ARRAY_OF_THREE:
        return None
    is_request = data[5:6] in _SHORT_TEXT
    name = "request" if is_request else "answer"
    try:
        whole = unframe(data)
        if whole is None:
            return name, f"the first {len(data)} bytes"
        if is_request:
            method, path, _ = _request(whole)
            return name, f"{method} {path}"
        status, revision, _ = _answer(whole)
    except msgspec.MsgspecError:
        return None
    return name, f"{status} at revision {revision}"
