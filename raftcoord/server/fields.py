"""Checks of what callers send: names, durations, attachments. Every refusal names the field and
what is allowed."""

import math
import re
from typing import Annotated, Any

from msgspec import Meta

from raftcoord.commands import bounds
from raftcoord.errors import Malformed

NAME_ALLOWED = "1-256 bytes of UTF-8 without control characters, not . or .."
Id = Annotated[int, Meta(ge=0, le=(1 << 63) - 1)]
"""An id or a token in a body: what the log can hold."""
SHOWN = 40
"""Characters of a wrong value that a refusal repeats."""
_DECIMAL = re.compile(r"[0-9]{1,12}(\.[0-9]{1,12})?")
_ROUNDING = 1e-6
"""Milliseconds: what a sum of decimal seconds may be off by in binary without counting as more."""


def name(field: str, value: str) -> str:
    """A name of a lock, ring, member, owner or participant."""
    if value.isascii() and value.isprintable() and 0 < len(value) <= 256 and value[0] != ".":
        return value
    problem = bounds.name_problem(value)
    if problem is not None:
        raise Malformed(f"{field} {problem}", field=field, allowed=NAME_ALLOWED)
    return value


def text(field: str, value: str) -> str:
    """A short text that is no name: the beginning of names, the value of a simple lock."""
    # What is said of a name holds, but for the two names that mean something in a path.
    if value not in (".", "..") and (problem := bounds.name_problem(value)) is not None:
        allowed = "1-256 bytes of UTF-8 without control characters"
        raise Malformed(f"{field} {problem}", field=field, allowed=allowed)
    return value


def milliseconds(field: str, seconds: float, low: int, high: int) -> int:
    """A duration in milliseconds, rounded up.

    Args:
        low, high: bounds in milliseconds. With low 0, a duration may be absent: 0 is allowed,
            and nothing else below one millisecond.
    """
    if not -high <= seconds <= high or seconds * 1000 > high + _ROUNDING:
        raise _bad_duration(field, seconds, low, high)
    if seconds == 0 and low == 0:
        return 0
    if seconds * 1000 < max(low, 1) - _ROUNDING:
        raise _bad_duration(field, seconds, low, high)
    return math.ceil(seconds * 1000 - _ROUNDING)


def _lowest(low: int) -> str:
    return "0, or 0.001" if low == 0 else f"{low / 1000:g}"


def _bad_duration(field: str, seconds: float, low: int, high: int) -> Malformed:
    allowed = f"seconds, {_lowest(low)} to {high // 1000}"
    limit = high / 1000 if seconds > 0 and seconds * 1000 > high else max(low, 1) / 1000
    return Malformed(
        f"{field} is {shown(seconds)}; allowed: {allowed}",
        field=field,
        limit=limit,
        allowed=allowed,
    )


def duration(field: str, text: str, low: int, high: int) -> int:
    """The same, of a text: decimal digits, with a point or without."""
    if not _DECIMAL.fullmatch(text):
        allowed = f"seconds, {_lowest(low)} to {high // 1000}"
        raise Malformed(
            f"{field} is {text[:SHOWN]!r}; allowed: {allowed}", field=field, allowed=allowed
        )
    return milliseconds(field, float(text), low, high)


def shown(value: float) -> str:
    """A number as it was sent, or how that begins."""
    return repr(value).removesuffix(".0")[:SHOWN]


def number(field: str, value: float, low: float, high: float) -> None:
    """A number within bounds; NaN is in none."""
    if not low <= value <= high:
        allowed = f"{low:g} to {high:g}"
        raise Malformed(
            f"{field} is {shown(value)}; allowed: {allowed}",
            field=field,
            limit=high if value > high else low,
            allowed=allowed,
        )


def meta(value: dict[str, Any] | None) -> dict[str, Any] | None:
    """What a caller attaches: a JSON object of bounded size and depth."""
    if value is None:
        return None
    problem = bounds.meta_problem(value)
    if problem is None and not _is_json(value):
        problem = "holds what JSON cannot say"
    if problem is not None:
        raise Malformed(
            f"meta {problem}",
            field="meta",
            limit=bounds.META_BYTES,
            allowed=f"a JSON object of at most {bounds.META_BYTES} bytes as MessagePack",
        )
    return value


def _is_json(value: Any) -> bool:
    """MessagePack can say more: keys that are no text, bytes, times, NaN."""
    if isinstance(value, dict):
        return all(isinstance(key, str) and _is_json(item) for key, item in value.items())
    if isinstance(value, list):
        return all(_is_json(item) for item in value)
    if isinstance(value, float):
        return math.isfinite(value)
    return value is None or isinstance(value, str | int)
