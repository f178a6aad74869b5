"""Files that the user named, to be read: what is wrong with one is not wrong with the machine."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class CannotRead(Exception):
    """A file that was named cannot be read at all, so no line is to blame; says which and why."""


@contextmanager
def reading(*files: Path) -> Iterator[None]:
    """While these are read, a system's error is `CannotRead`, with path and reason."""
    try:
        yield
    except OSError as error:
        which = error.filename or ", ".join(map(str, files))
        raise CannotRead(f"{which}: {error.strerror or error}") from error
