"""What a caller hands in, checked before anything is sent."""

from typing import Any

from raftcoord.errors import Malformed

LONGEST = 86_400
"""Seconds a lock is held, a prepare is open, or an answer is waited for at most."""


def check_text(field: str, value: Any) -> None:
    """Raise Malformed for what is no text, or cannot be sent as one."""
    if not isinstance(value, str):
        raise Malformed(
            f"{field} is {_shown(value)}; allowed: a text", field=field, allowed="a text"
        )
    try:
        value.encode()
    except UnicodeEncodeError:
        raise Malformed(
            f"{field} is {_shown(value)}, which is not valid Unicode",
            field=field,
            allowed="a text without lone surrogates",
        ) from None


def check_expire(value: Any) -> None:
    """Raise Malformed for what the server would refuse."""
    # The comparisons say no to NaN as well.
    if not _is_number(value) or not 0 < value <= LONGEST:
        raise Malformed(
            f"expire is {_shown(value)}; allowed: seconds, above 0, to {LONGEST}",
            field="expire",
            limit=LONGEST,
            allowed=f"seconds, above 0, to {LONGEST}",
        )


def check_timeout(value: Any) -> None:
    """Raise Malformed for what is no time to wait for an answer."""
    if not _is_number(value) or not 0 < value <= LONGEST:
        raise Malformed(
            f"timeout is {_shown(value)}; allowed: seconds, above 0, to {LONGEST}",
            field="timeout",
            limit=LONGEST,
            allowed=f"seconds, above 0, to {LONGEST}",
        )


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _shown(value: Any) -> str:
    return ascii(value)[:100]
