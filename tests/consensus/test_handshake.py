"""The handshake without a socket: who is believed, who is not, and what a stranger gets to see."""

from itertools import count

import pytest

from raftcoord.consensus.handshake import (
    BOUND,
    NAME_LIMIT,
    Acceptor,
    Dialer,
    Handshake,
    Hello,
    Identity,
    Refused,
)

SECRET = b"s" * 32
N1 = Identity("blue", "n1", 5, 17)
N2 = Identity("blue", "n2", 2**64 - 1, 0)


class Nonces:
    """Every nonce another, and the same in every run."""

    def __init__(self, start: int = 1) -> None:
        self._numbers = count(start)

    def __call__(self, size: int) -> bytes:
        return next(self._numbers).to_bytes(size, "big")


NONCE = Nonces()
REASONS = ("cluster", "target", "self", "secret")


def dialer(me: Identity = N1, target: str = "n2", secret: bytes = SECRET) -> Dialer:
    return Dialer(me, secret, NONCE, target)


def acceptor(me: Identity = N2, secret: bytes = SECRET) -> Acceptor:
    return Acceptor(me, secret, NONCE)


def give(side: Handshake, data: bytes) -> bytes:
    """Hand over data as a connection does, in the parts that are wanted; all answers."""
    answers = b""
    while data:
        part, data = data[: side.want], data[side.want :]
        assert len(part) == side.want
        answers += side.receive(part)
        assert side.want <= BOUND
    return answers


def converse(caller: Dialer, called: Acceptor) -> tuple[list[bytes], list[bytes]]:
    """What each side says, in order, until both believe or one refuses."""
    said: tuple[list[bytes], list[bytes]] = ([caller.open()], [])
    while called.peer is None:
        said[1].append(give(called, said[0][-1]))
        said[0].append(give(caller, said[1][-1]))
    return said


def reason(side: Handshake, data: bytes) -> str:
    with pytest.raises(Refused) as caught:
        give(side, data)
    assert side.peer is None
    return caught.value.reason


def flip(data: bytes, position: int) -> bytes:
    """The same with one bit turned over."""
    damaged = bytearray(data)
    damaged[position // 8] ^= 1 << position % 8
    return bytes(damaged)


def test_both_learn_who_the_other_is():
    caller, called = dialer(), acceptor()
    converse(caller, called)
    assert caller.peer is not None
    assert called.peer is not None
    seen = caller.peer
    assert (seen.cluster, seen.node, seen.incarnation, seen.boot) == ("blue", "n2", 2**64 - 1, 0)
    seen = called.peer
    assert (seen.cluster, seen.node, seen.incarnation, seen.boot) == ("blue", "n1", 5, 17)


def test_the_longest_ids_fit():
    name = "ü" * (NAME_LIMIT // 2)
    me, other = Identity(name, "a" * NAME_LIMIT, 1, 1), Identity(name, name, 1, 1)
    caller, called = dialer(me, name), acceptor(other)
    converse(caller, called)
    assert caller.peer is not None


@pytest.mark.parametrize("name", ["", "a" * (NAME_LIMIT + 1), "ü" * 33, "a\0b"])
def test_ids_that_do_not_fit(name: str):
    with pytest.raises(ValueError):
        Identity(name, "n1", 1, 1)
    with pytest.raises(ValueError):
        Identity("blue", name, 1, 1)


@pytest.mark.parametrize(
    ("caller", "why"),
    [
        (dialer(Identity("red", "n1", 1, 1)), "cluster"),
        (dialer(target="n3"), "target"),
        (dialer(Identity("blue", "n2", 1, 1)), "self"),
        (dialer(secret=b"t" * 32), "secret"),
    ],
)
def test_a_stranger_sees_the_same_whatever_is_wrong(caller: Dialer, why: str):
    called = acceptor()
    challenge = give(called, caller.open())
    assert len(challenge) == 24
    assert challenge[8:] == NONCE.__class__(int.from_bytes(challenge[8:], "big"))(16)
    proof = give(caller, challenge)
    assert reason(called, proof) == why


@pytest.mark.parametrize("garbage", [b"GET / HTTP/1.1\r\n", b"\x80\x04\x95abcdefgh", bytes(300)])
def test_what_is_no_hello_is_refused_by_its_first_bytes(garbage: bytes):
    assert reason(acceptor(), garbage[:10]) == "magic"


def test_another_version_is_refused_by_its_first_bytes():
    hello = bytearray(dialer().open())
    hello[9] += 1
    assert reason(acceptor(), bytes(hello[:10])) == "version"


def test_every_flipped_bit_of_the_dialers_words_is_refused():
    hello_size = len(dialer().open())
    for position in range((hello_size + 32) * 8):
        caller, called = dialer(), acceptor()
        hello, proof_position = caller.open(), position - hello_size * 8
        if proof_position < 0:
            hello = flip(hello, position)
            try:
                proof = give(caller, give(called, hello))
            except Refused:
                continue
        else:
            proof = flip(give(caller, give(called, hello)), proof_position)
        assert reason(called, proof) in REASONS


def test_every_flipped_bit_of_the_acceptors_words_is_refused():
    caller, called = dialer(), acceptor()
    said = converse(caller, called)[1]
    for part, data in enumerate(said):
        for position in range(len(data) * 8):
            nonces = Nonces(int.from_bytes(caller._nonce, "big"))
            again = Dialer(N1, SECRET, nonces, "n2")
            again.open()
            words = b"".join(
                flip(word, position) if other == part else word for other, word in enumerate(said)
            )
            assert reason(again, words) in ("magic", "version", "malformed", *REASONS)


def test_what_was_recorded_is_worth_nothing():
    said = converse(dialer(), acceptor())
    called = acceptor()
    give(called, said[0][0])
    assert reason(called, said[0][1]) == "secret"
    caller = dialer()
    caller.open()
    give(caller, said[1][0])
    assert reason(caller, said[1][1]) == "secret"


def test_a_dialer_is_not_convinced_by_its_own_words():
    caller = dialer()
    assert reason(caller, caller.open()[: caller.want]) == "magic"
    caller = dialer()
    hello = caller.open()
    proof = give(caller, b"raftchal" + bytes(16))
    assert reason(caller, hello + proof) == "target"


def test_a_node_is_not_convinced_by_its_own_words():
    """A caller sends back to n2 what n2 itself says when it calls."""
    mirror = dialer(N2, "n1")
    called = acceptor(N2)
    challenge = give(called, mirror.open())
    assert reason(called, give(mirror, challenge)) == "self"


def test_a_proof_for_one_role_is_none_for_the_other():
    """Same bytes on both sides; only the role's name differs."""
    caller, called = dialer(), acceptor()
    challenge = give(called, caller.open())
    caller.receive(challenge)
    assert reason(called, called._proof(b"acceptor")) == "secret"


def test_what_was_said_to_one_member_does_not_open_another():
    """A rogue n2 passes n1's words on to n3."""
    caller, third = dialer(N1, "n2"), acceptor(Identity("blue", "n3", 1, 1))
    challenge = give(third, caller.open())
    assert reason(third, give(caller, challenge)) == "target"


def test_the_acceptor_says_nothing_of_itself_before_it_believes():
    caller, called = dialer(Identity("blue", "n1", 5, 17)), acceptor()
    challenge = give(called, caller.open())
    welcome = give(called, give(caller, challenge))
    assert len(challenge) == 24
    assert Hello.unpack(welcome[:-32]).incarnation == 2**64 - 1


def test_a_name_with_rubbish_behind_it_is_malformed():
    hello = bytearray(dialer().open())
    hello[8 + 2 + 64] = 1  # the last byte of the cluster's field, behind its name
    assert reason(acceptor(), bytes(hello)) == "malformed"


def test_an_empty_name_is_malformed():
    hello = Hello("blue", "", "n2", 1, 1, bytes(16)).pack()
    assert reason(acceptor(), hello) == "malformed"
