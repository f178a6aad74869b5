"""Errors and commands as bytes and back, and the published table of slugs."""

import copy
from typing import Any, get_args

import msgspec
import pytest

import raftcoord
from raftcoord import errors
from raftcoord.commands import (
    AcquireLock,
    AnyCommand,
    AnyReply,
    Envelope,
    Granted,
    KeptAlive,
    OpenSession,
    Refused,
    bounds,
    decode,
    decode_reply,
    encode,
    encode_reply,
)
from raftcoord.errors import ERRORS, LockHeld, Malformed, RaftcoordError

CLASSES = list(ERRORS.values())


def every_error() -> set[type[RaftcoordError]]:
    found: set[type[RaftcoordError]] = set()
    todo = [RaftcoordError]
    while todo:
        for below in todo.pop().__subclasses__():
            found.add(below)
            todo.append(below)
    return found


def test_the_table_has_every_error_once() -> None:
    with_slug = {
        cls for cls in every_error() if "slug" in cls.__dict__ and cls.__module__ == errors.__name__
    }
    assert with_slug == set(CLASSES)
    assert all(ERRORS[cls.slug] is cls for cls in CLASSES)


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.slug)
def test_the_tree_drawn_at_the_top_is_true(cls: type[RaftcoordError]) -> None:
    assert errors.__doc__ is not None
    line = next(line for line in errors.__doc__.splitlines() if f" {cls.__name__} " in line)
    words = line.split()
    assert cls.slug in words
    assert str(cls.status if "exit" not in words else cls.exit_code) in words
    assert cls.blame in ("caller", "state", "cluster", "unknown")
    assert cls.__doc__


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.slug)
def test_errors_come_back_whole(cls: type[RaftcoordError]) -> None:
    error = cls("what happened", field="x", limit=3, holders=[{"owner": None}])
    for back in (
        RaftcoordError.from_wire(error.to_wire()),
        decode_reply(encode_reply(error)),
        copy.deepcopy(error),
    ):
        assert type(back) is cls
        assert back == error
        assert str(back) == "what happened"
        assert back.fields == error.fields


def test_an_error_of_a_newer_node_is_not_lost() -> None:
    back = RaftcoordError.from_wire({"slug": "new", "detail": "later", "fields": {"a": 1}})
    assert type(back) is RaftcoordError
    assert back.fields == {"a": 1, "slug": "new"}


def test_errors_differ_by_what_they_say() -> None:
    assert LockHeld("x", name="a") == LockHeld("x", name="a")
    assert LockHeld("x", name="a") != LockHeld("x", name="b")
    assert LockHeld("x") != Malformed("x")


def test_envelopes_come_back_whole() -> None:
    command = AcquireLock("ü/1", "w", 3, 1_000, 5_000, {"é": [1, None, 2.5, {"x": True}]})
    envelope = Envelope("n1", 7, 8, 6, "alice", command)
    assert decode(encode(envelope)) == envelope


def test_replies_come_back_whole() -> None:
    for reply in (Granted("a", 1, "w", None, 5), KeptAlive((1, None))):
        assert decode_reply(encode_reply(reply)) == reply


def test_tags_are_the_words_of_the_product() -> None:
    tags = [command.__struct_config__.tag for command in get_args(AnyCommand)]
    assert len(set(tags)) == len(tags)
    resources = {str(tag).partition(".")[0] for tag in tags}
    assert resources == {"clock", "session", "lock", "ring", "transaction", "simple"}
    replies = [reply.__struct_config__.tag for reply in get_args(AnyReply)]
    assert len(set(replies)) == len(replies)
    assert Refused in get_args(AnyReply)


@pytest.mark.parametrize(
    "meta",
    [{"x": 2**64}, {"x": -(2**63) - 1}, {"x": "\ud800"}, {"\udfff": 1}],
    ids=["large", "small", "half a pair", "half a pair as a name"],
)
def test_what_cannot_be_stored_is_malformed(meta: dict[str, Any]) -> None:
    with pytest.raises(Malformed):
        encode(Envelope("n1", 1, 1, 1, "", OpenSession(5_000, meta)))
    assert bounds.meta_problem(meta) is not None


def test_what_could_not_be_decoded_never_gets_into_the_log() -> None:
    wrong: Any = 5.5
    with pytest.raises(Malformed):
        encode(Envelope("n1", 1, 1, 1, "", OpenSession(wrong)))
    with pytest.raises(Malformed):
        encode(Envelope("n1", 1, 1, 1, "", AcquireLock("a", "w", ttl=True)))


def nested(depth: int) -> dict[str, Any]:
    value: Any = 1
    for _ in range(depth - 1):
        value = [value]
    return {"x": value}


def test_meta_is_bounded() -> None:
    assert bounds.meta_problem({}) is None
    assert bounds.meta_problem(nested(16)) is None
    assert "deeper" in (bounds.meta_problem(nested(17)) or "")
    assert "deeper" in (bounds.meta_problem(nested(50_000)) or "")
    assert bounds.meta_problem({"x": "y" * 4_000}) is None
    assert "4096" in (bounds.meta_problem({"x": "y" * 4_200}) or "")


@pytest.mark.parametrize("name", ["a", "ü" * 128, "a/b c", "...", "\u2028"])
def test_names_that_are_fine(name: str) -> None:
    assert bounds.name_problem(name) is None


@pytest.mark.parametrize(
    "name", ["", "ü" * 129, ".", "..", "a\n", "\x00", "\x7f", "\x85", "\ud800"]
)
def test_names_that_are_not(name: str) -> None:
    assert bounds.name_problem(name) is not None


def test_commands_refuse_unknown_fields() -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"type": "session.open", "ttl": 1, "more": 1}, OpenSession)


def test_the_package_names_its_contents() -> None:
    assert raftcoord.__doc__
    for name in raftcoord.__all__:
        assert hasattr(raftcoord, name)
