"""What a mutation is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from chaos.mutation.patching import Change
from chaos.simulation.profiles import PROFILES, Profile, replace


@dataclass(frozen=True)
class Mutation:
    """A deliberate fault in the product's code.

    Args:
        name: words with hyphens.
        room: what it sits in: elections, replication, reads, journal, …
        breaks: what it breaks, in one sentence.
        changes: the patch.
        within: it is caught within so many seeds.
        base: the profile it is played in. focus: values of it that are replaced, so that what the
            fault needs to show happens often.
    """

    name: str
    room: str
    breaks: str
    changes: tuple[Change, ...]
    within: int = 5
    base: str = "three"
    focus: Mapping[str, Any] = field(default_factory=dict)

    @property
    def profile(self) -> Profile:
        """The kind of world it is played in."""
        return replace(PROFILES[self.base], **self.focus)
