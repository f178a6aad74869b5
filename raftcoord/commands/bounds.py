"""The product's bounds. Durations in milliseconds, sizes in bytes.

The door checks what a caller sends against them; the machine checks again what would hurt it.
"""

from typing import Any, Final

import msgspec

NAME_BYTES: Final = 256
META_BYTES: Final = 4096
META_DEPTH: Final = 16
SESSION_TTL_MIN: Final = 2_000
SESSION_TTL: Final = 86_400_000
HOLDINGS: Final = 1_024
LOCK_TTL: Final = 86_400_000
WAIT: Final = 3_600_000
QUEUE: Final = 10_000
JOINED_REQUESTS: Final = 64
MEMBERS: Final = 1_000
VIRTUAL_NODES: Final = 1_024
WEIGHT_MIN: Final = 0.01
WEIGHT: Final = 100.0
RING_VERSIONS: Final = 128
RING_POINTS: Final = 1 << 17
"""A lookup makes them all at once where they are not there yet."""
LOOKUP_PLACES: Final = 100_000
"""Keys times members for each, of one lookup."""
PARTICIPANTS: Final = 64
TRANSACTION_TIMEOUT: Final = 86_400_000
RETENTION: Final = 3_600_000
SIMPLE_EXPIRE: Final = 86_400_000
SIMPLE_RETENTION: Final = 600_000
STORED_ANSWERS: Final = 16_384
STORED_ANSWER_BYTES: Final = 16 << 20
GATEWAY_MEMORY: Final = 86_400_000

_encoder = msgspec.msgpack.Encoder()


def name_problem(name: str) -> str | None:
    """What is wrong with a name of a lock, ring, member or participant; None when it is fine."""
    if not name:
        return "is empty"
    try:
        size = len(name.encode())
    except UnicodeEncodeError:
        return "is not valid UTF-8"
    if size > NAME_BYTES:
        return f"has {size} bytes, at most {NAME_BYTES} are allowed"
    if name in (".", ".."):
        return "may not be . or .."
    if any(character < " " or "\x7f" <= character <= "\x9f" for character in name):
        return "has control characters"
    return None


def meta_problem(meta: dict[str, Any]) -> str | None:
    """What is wrong with a caller's meta; None when it is fine.

    The depth is bounded because decoding is recursive: what one node's stack could just decode,
    another's could not.
    """
    if _depth(meta, META_DEPTH + 1) > META_DEPTH:
        return f"is nested deeper than {META_DEPTH}"
    try:
        size = len(_encoder.encode(meta))
    except (OverflowError, UnicodeEncodeError):
        return "has a number or a text that MessagePack cannot hold"
    if size > META_BYTES:
        return f"has {size} bytes as MessagePack, at most {META_BYTES} are allowed"
    return None


def _depth(value: Any, room: int) -> int:
    """How deep lists and dicts are nested in `value`; no deeper than `room` is looked at."""
    if room == 0:
        return 0
    if isinstance(value, dict):
        return 1 + max((_depth(item, room - 1) for item in value.values()), default=0)
    if isinstance(value, list | tuple):
        return 1 + max((_depth(item, room - 1) for item in value), default=0)
    return 0
