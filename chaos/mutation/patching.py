"""Small changes of the product's code while it runs, undone for sure.

A change names a function and replaces a piece of its text; the function gets the code that the
changed text compiles to. So whoever holds the function already (a table of handlers, another
module that imported it) runs the changed code too, and a piece that is no longer there, since the
product has changed, is an error and no silent nothing.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import textwrap
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import CodeType, FunctionType
from typing import Any

PRODUCT = "raftcoord"


class CannotPatch(Exception):
    """The code is not as the change expects it; says which and why."""


@dataclass(frozen=True)
class Edit:
    """A piece of a function's text, and what takes its place.

    Args:
        where: `room.module:Class.method` below `raftcoord`, or `room.module:function`.
        old: the piece; it stands in the function once. Lines as they are, less the indentation
            that the whole function has.
        new: instead of it.
    """

    where: str
    old: str
    new: str


@dataclass(frozen=True)
class Value:
    """A module's or a class's attribute, and what it is instead. `where` as in `Edit`."""

    where: str
    new: Any


Change = Edit | Value


@contextmanager
def patched(changes: Iterable[Change]) -> Iterator[None]:
    """Run with these changes. Raises CannotPatch, and then nothing is changed."""
    codes, values = _prepared(changes)
    before = [(function, function.__code__) for function, _ in codes]
    kept = [(owner, name, inspect.getattr_static(owner, name)) for owner, name, _ in values]
    try:
        for function, code in codes:
            function.__code__ = code
        for owner, name, value in values:
            setattr(owner, name, value)
        yield
    finally:
        for function, code in before:
            function.__code__ = code
        for owner, name, value in kept:
            setattr(owner, name, value)


def _prepared(
    changes: Iterable[Change],
) -> tuple[list[tuple[FunctionType, CodeType]], list[tuple[Any, str, Any]]]:
    edits: dict[str, list[Edit]] = {}
    values = []
    for change in changes:
        owner, name = _owner(change.where)
        if isinstance(change, Edit):
            edits.setdefault(change.where, []).append(change)
        else:
            values.append((owner, name, change.new))
    codes = [(_function(where), _changed(where, group)) for where, group in edits.items()]
    return codes, values


def _owner(where: str) -> tuple[Any, str]:
    """What holds the named thing, and its name there."""
    module, _, path = where.partition(":")
    owner: Any = importlib.import_module(f"{PRODUCT}.{module}")
    *outer, name = path.split(".")
    for part in outer:
        owner = getattr(owner, part, None)
    if name not in getattr(owner, "__dict__", ()):
        raise CannotPatch(f"there is no {where}")
    return owner, name


def _function(where: str) -> FunctionType:
    owner, name = _owner(where)
    found = vars(owner)[name]
    if isinstance(found, property):
        found = found.fget
    found = inspect.unwrap(getattr(found, "__func__", found))
    if not isinstance(found, FunctionType):
        raise CannotPatch(f"{where} is no function")
    return found


def _changed(where: str, edits: list[Edit]) -> CodeType:
    """The code of a function after these edits, one after the other."""
    function = _function(where)
    text = textwrap.dedent(inspect.getsource(function))
    for edit in edits:
        found = text.count(edit.old)
        if found != 1:
            raise CannotPatch(f"{where} has {edit.old!r} {found} times instead of once")
        text = text.replace(edit.old, edit.new)
    code = _compiled(function, text, where)
    if code.co_freevars != function.__code__.co_freevars:
        raise CannotPatch(f"{where} would close over {code.co_freevars}, as it must not")
    return code


def _compiled(function: FunctionType, text: str, where: str) -> CodeType:
    # Within a function that has the names of the cells: `super()` needs `__class__` as one.
    cells = ", ".join(function.__code__.co_freevars)
    try:
        tree = ast.parse(f"def _outer({cells}):\n    return {function.__name__}")
        inner = ast.parse(text).body[0]
    except SyntaxError as error:
        raise CannotPatch(f"{where} cannot be compiled: {error}") from error
    outer = tree.body[0]
    assert isinstance(outer, ast.FunctionDef)
    assert isinstance(inner, ast.FunctionDef | ast.AsyncFunctionDef)
    inner.decorator_list = []
    outer.body.insert(0, inner)
    names: dict[str, Any] = dict(function.__globals__)
    exec(compile(ast.fix_missing_locations(tree), f"<changed {where}>", "exec"), names)
    made = names["_outer"](*function.__code__.co_freevars)
    code = made.__code__
    assert isinstance(code, CodeType)
    return code.replace(co_qualname=function.__qualname__)
