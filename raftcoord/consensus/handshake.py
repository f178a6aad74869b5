"""The handshake: two members prove to each other who they are before anything else is read.

    dialer                                    acceptor
    hello: who I am, whom I want, my nonce →
                                            ← challenge: your nonce
    proof(dialer)                           →
                                            ← hello: who I am, the same nonce; proof(acceptor)

    proof(role) = HMAC-SHA256(secret, role ‖ all bytes of the handshake before the proof)

A stranger that calls learns nothing: whatever well-formed hello it sends, the answer is a random
number, and every refusal is a closed connection after the proof. Both nonces are fresh, so what
was recorded cannot be played again; the role is in the proof, so it cannot be reflected; the ids
of both sides are, so it cannot be passed on to another member. Proofs are compared in constant
time (RFC 2104 for HMAC; ISO/IEC 9798-4 for the three-pass form with fresh random numbers).

All parts have a fixed size, at most BOUND bytes. Nothing here touches a socket.
"""

import hmac
import struct
from collections.abc import Callable
from dataclasses import dataclass

BOUND = 512
"""Bytes a side may have sent before it is believed; the receiving buffer has no more."""
VERSION = 2
NAME_LIMIT = 64
"""Bytes of UTF-8 in a cluster's or a node's id."""

_MAGIC = b"raftcord"
_OPENING = struct.Struct("!8sH")
_NAME = NAME_LIMIT + 1
_HELLO = struct.Struct(f"!8sH{_NAME}p{_NAME}p{_NAME}pQQ16s")
_CHALLENGE = struct.Struct("!8s16s")
_CHALLENGE_MAGIC = b"raftchal"
_NONCE = 16
_PROOF = 32


class Refused(Exception):
    """The other side is none of ours.

    `reason`: "magic", "version", "malformed", "cluster", "target", "self" or "secret".
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True)
class Identity:
    """A node as it introduces itself.

    Args:
        cluster, node: ids, 1-64 bytes of UTF-8.
        incarnation: the data folder's number; a wiped node comes back with another.
        boot: the process's number.

    Raises ValueError for ids that do not fit.
    """

    cluster: str
    node: str
    incarnation: int
    boot: int

    def __post_init__(self) -> None:
        check_name("cluster id", self.cluster)
        check_name("node id", self.node)


def check_name(what: str, name: str) -> None:
    """Raise ValueError where `name` does not fit the handshake."""
    if not 0 < len(name.encode()) <= NAME_LIMIT or "\0" in name:
        raise ValueError(f"{what} {name!r}: 1-{NAME_LIMIT} bytes of UTF-8 without a zero byte")


@dataclass(frozen=True)
class Hello:
    """Who speaks and who is meant."""

    cluster: str
    node: str
    target: str
    incarnation: int
    boot: int
    nonce: bytes

    @classmethod
    def of(cls, me: Identity, target: str, nonce: bytes) -> "Hello":
        """The hello of `me` to the node `target`."""
        return cls(me.cluster, me.node, target, me.incarnation, me.boot, nonce)

    def pack(self) -> bytes:
        """The hello's bytes, always of the same length."""
        names = [name.encode() for name in (self.cluster, self.node, self.target)]
        return _HELLO.pack(_MAGIC, VERSION, *names, self.incarnation, self.boot, self.nonce)

    @classmethod
    def unpack(cls, data: bytes) -> "Hello":
        """Read a hello. Raises Refused where one byte is not as `pack` writes it."""
        _, _, cluster, node, target, incarnation, boot, nonce = _HELLO.unpack(data)
        try:
            names = (cluster.decode(), node.decode(), target.decode())
        except UnicodeDecodeError:
            raise Refused("malformed") from None
        hello = cls(*names, incarnation, boot, nonce)
        if hello.pack() != data or "" in names:
            raise Refused("malformed")
        return hello


class Handshake:
    """One side of a handshake.

    `want`: bytes of the other side's next part. `peer`: who it is, once that is proved; a wrong
    one is never seen there.
    """

    def __init__(self, me: Identity, secret: bytes, nonce: Callable[[int], bytes]) -> None:
        self.peer: Hello | None = None
        self.want = 0
        self._me = me
        self._secret = secret
        self._nonce = nonce(_NONCE)
        self._said = b""

    def open(self) -> bytes:
        """What this side says first."""
        return b""

    def receive(self, part: bytes) -> bytes:
        """The other side's next `want` bytes; what to answer. Raises Refused."""
        raise AssertionError

    def _proof(self, role: bytes) -> bytes:
        return hmac.digest(self._secret, role + self._said, "sha256")

    def _check_proof(self, role: bytes, proof: bytes) -> None:
        if not hmac.compare_digest(self._proof(role), proof):
            raise Refused("secret")


class Dialer(Handshake):
    """The side that called the node `target`."""

    def __init__(
        self, me: Identity, secret: bytes, nonce: Callable[[int], bytes], target: str
    ) -> None:
        super().__init__(me, secret, nonce)
        self.target = target
        self.want = _CHALLENGE.size
        self._challenged = False

    def open(self) -> bytes:
        """The dialer's hello."""
        self._said = Hello.of(self._me, self.target, self._nonce).pack()
        return self._said

    def receive(self, part: bytes) -> bytes:
        """The challenge, answered with this side's proof; then hello and proof of the other."""
        if not self._challenged:
            if not part.startswith(_CHALLENGE_MAGIC):
                raise Refused("magic")
            self._challenged = True
            self._said += part
            self.want = _HELLO.size + _PROOF
            return self._proof(b"dialer")
        welcome, proof = part[: _HELLO.size], part[_HELLO.size :]
        _check_opening(welcome[: _OPENING.size])
        hello = Hello.unpack(welcome)
        if hello.cluster != self._me.cluster:
            raise Refused("cluster")
        if hello.node != self.target or hello.target != self._me.node:
            raise Refused("target")
        self._said += welcome
        self._check_proof(b"acceptor", proof)
        self.peer = hello
        return b""


class Acceptor(Handshake):
    """The side that was called."""

    def __init__(self, me: Identity, secret: bytes, nonce: Callable[[int], bytes]) -> None:
        super().__init__(me, secret, nonce)
        self.want = _OPENING.size
        self._opening = b""
        self._hello: Hello | None = None

    def receive(self, part: bytes) -> bytes:
        """The hello's first bytes, the rest of it, then the dialer's proof."""
        if not self._opening:
            _check_opening(part)
            self._opening = part
            self.want = _HELLO.size - _OPENING.size
            return b""
        if self._hello is None:
            hello = self._opening + part
            self._hello = Hello.unpack(hello)
            challenge = _CHALLENGE.pack(_CHALLENGE_MAGIC, self._nonce)
            self._said = hello + challenge
            self.want = _PROOF
            return challenge
        caller = self._hello
        if caller.cluster != self._me.cluster:
            raise Refused("cluster")
        if caller.node == self._me.node:
            raise Refused("self")
        if caller.target != self._me.node:
            raise Refused("target")
        self._check_proof(b"dialer", part)
        welcome = Hello.of(self._me, caller.node, self._nonce).pack()
        self._said += welcome
        self.peer = caller
        return welcome + self._proof(b"acceptor")


def _check_opening(opening: bytes) -> None:
    magic, version = _OPENING.unpack(opening)
    if magic != _MAGIC:
        raise Refused("magic")
    if version != VERSION:
        raise Refused("version")
