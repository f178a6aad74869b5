"""What the cluster remembers of itself between two runs: `state.json`.

A node that ever had data may have voted and acknowledged; started again empty it would contradict
itself. So a node is initialised once, and each step of it is on disk before the next is taken:

    new      nothing was started; its folder does not exist
    begun    its folder was made, it may have been started with --init
    made     data was seen in its folder: from here on it is never initialised again
    joining  it was started empty by `rejoin`, and is not yet one of the voters again

Killed between any two steps, the next start finds the stage before or after, and the folder tells
which: `begun` with an empty folder means that the node never wrote a byte.
"""

from __future__ import annotations

import json
import os
import secrets
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from cluster.problem import Problem

Stage = Literal["new", "begun", "made", "joining"]
STAGES: tuple[Stage, ...] = ("new", "begun", "made", "joining")
FORMAT = 1


@dataclass
class State:
    """cluster: its id, random, so that no node takes another local cluster's for its own.
    port: the first node's; the addresses are in the replicated log, so it stays.
    stages: node id -> stage, in the nodes' order."""

    cluster: str
    port: int
    stages: dict[str, Stage]
    wiping: bool = False
    format: int = FORMAT

    @classmethod
    def fresh(cls, nodes: int, port: int) -> State:
        stages: dict[str, Stage] = {f"n{number}": "new" for number in range(1, nodes + 1)}
        return cls(f"local-{secrets.token_hex(4)}", port, stages)

    @classmethod
    def read(cls, file: Path) -> State | None:
        """The state, None where there is none; raises Problem where it cannot be understood."""
        try:
            text = file.read_text(encoding="utf-8")
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            raise Problem(f"{file} cannot be read: {error}") from error
        try:
            raw = json.loads(text)
            stages = raw["stages"]
            known = (
                raw["format"] == FORMAT
                and isinstance(raw["cluster"], str)
                and isinstance(raw["port"], int)
                and list(stages) == [f"n{number}" for number in range(1, len(stages) + 1)] != []
                and set(stages.values()) <= set(STAGES)
            )
            state = cls(**raw)
        except (ValueError, TypeError, KeyError, AttributeError):
            known = False
        if not known:
            raise Problem(
                f"{file} is damaged or of another version; put it back from a copy, or remove the"
                " folder to start empty"
            )
        return state

    def write(self, file: Path) -> None:
        write_whole(file, json.dumps(asdict(self), indent=1) + "\n")


def write_whole(file: Path, text: str, mode: int = 0o600) -> None:
    """Write a file so that after a crash it is there whole or as it was before."""
    aside = file.with_name(file.name + ".new")
    with open(aside, "w", encoding="utf-8", opener=lambda p, f: os.open(p, f, mode)) as out:
        out.write(text)
        out.flush()
        os.fsync(out.fileno())
    os.replace(aside, file)
    sync_folder(file.parent)


def sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
