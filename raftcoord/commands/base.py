"""What every command and every reply has in common.

A command says what the caller wants, a reply what became of it; both are frozen, carry their tag
in the field `type`, and refuse fields they do not know. Durations are integer milliseconds of
cluster time. Ids of sessions and transactions and the tokens of grants come from the machine.
"""

from typing import Any, ClassVar

from msgspec import Struct

Meta = dict[str, Any]
"""What a caller attaches: a JSON object, at most `bounds.META_BYTES` as MessagePack."""


class Command(Struct, frozen=True, forbid_unknown_fields=True, tag_field="type", gc=False):
    """A change somebody wants. `decode` knows the concrete ones.

    Attributes:
        priority: it keeps the living alive, lets go of something, or decides. It has room of its
            own on its way, and what became due within the last second does not end by it:
            whoever sent it in time is not late because another's was read first.
    """

    priority: ClassVar[bool] = False


class Reply(Struct, frozen=True, forbid_unknown_fields=True, tag_field="type", gc=False):
    """What became of a command that was not refused."""
