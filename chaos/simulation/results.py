"""Results that stay: JSON lines, one for each run that ended, so that a long campaign goes on where
it was left.

A line counts for the same seed, the same kind of world and the same code only: `code` is a hash
over the sources of product and chaos, `kind` one over the profile and the schedule.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Sequence
from pathlib import Path

import msgspec
from msgspec import Struct

import raftcoord
from chaos.history import Unreadable
from chaos.inputs import reading
from chaos.simulation.outcome import Outcome, Step
from chaos.simulation.profiles import Profile, replace

_HEX = 16
_CHAOS = ("history.py", "checkers", "simulation", "workloads")
"""What of chaos takes part in a run."""
_BEGIN = b'{"line":"run",'


class Saved(Struct, frozen=True, forbid_unknown_fields=True, tag="run", tag_field="line"):
    """One line. The schedule is left out where the run was good: the seed draws it again."""

    code: str
    kind: str
    outcome: Outcome


def code_hash() -> str:
    """Over all sources that decide what a seed does."""
    digest = hashlib.sha256()
    product, chaos = Path(raftcoord.__file__).parent, Path(__file__).parents[1]
    for root in (product, *(chaos / name for name in _CHAOS)):
        for file in sorted(root.rglob("*.py")) if root.is_dir() else [root]:
            digest.update(f"{file.relative_to(root.parent).as_posix()}\0".encode())
            digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()[:_HEX]


def kind_hash(profile: Profile, steps: Sequence[Step] | None) -> str:
    """Over the kind of world, and the schedule where it is not the seed's own."""
    encoded = msgspec.json.encode((profile, steps), order="sorted")
    return hashlib.sha256(encoded).hexdigest()[:_HEX]


class Results:
    """A results file, read and appended to; without a path it holds nothing.

    Raises CannotRead, and Unreadable with the line that is no result.
    """

    def __init__(self, file: Path | None) -> None:
        self._code = code_hash() if file is not None else ""
        self._known: dict[tuple[str, int], Outcome] = {}
        self._fd: int | None = None
        if file is not None:
            with reading(file):
                self._open(file)

    def _open(self, file: Path) -> None:
        self._fd = os.open(file, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        try:
            if not stat.S_ISREG(os.fstat(self._fd).st_mode):
                raise Unreadable(str(file), 1, "this is no regular file")
            self._read(file, self._fd)
        except BaseException:
            self.close()
            raise

    def _read(self, file: Path, fd: int) -> None:
        decoder = msgspec.json.Decoder(Saved)
        whole = 0
        with file.open("rb") as stream:
            for number, line in enumerate(stream, 1):
                begun = line.startswith(_BEGIN) or _BEGIN.startswith(line)
                if begun and not line.endswith(b"\n"):
                    # Whoever wrote it was killed in the midst of it: that run is played again.
                    os.ftruncate(fd, whole)
                    return
                whole += len(line)
                try:
                    saved = decoder.decode(line)
                except (msgspec.DecodeError, UnicodeDecodeError) as error:
                    reason = f"this is no result of a simulated run ({error})"
                    raise Unreadable(str(file), number, reason) from error
                if saved.code == self._code:
                    self._known[saved.kind, saved.outcome.seed] = saved.outcome

    def known(self, kind: str, seed: int) -> Outcome | None:
        """What became of the seed, where the file says so for this code."""
        return self._known.get((kind, seed))

    def add(self, kind: str, outcome: Outcome) -> None:
        """Append a run. Raises OSError."""
        if self._fd is not None:
            kept = outcome if outcome.broken is not None else replace(outcome, steps=())
            line = msgspec.json.encode(Saved(self._code, kind, kept)) + b"\n"
            os.write(self._fd, line)

    def close(self) -> None:
        """Close the file."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None
