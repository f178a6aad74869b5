"""A full file system of the operating system's own: a small tmpfs, for root.

The helper that attaches it: `python3 -m chaos.nemesis.disks.small FOLDER BYTES`.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import sys
from pathlib import Path

from chaos.nemesis.disks.damage import FEW_ENTRIES, SNAPSHOT_EVERY
from chaos.nemesis.disks.helper import Helper
from chaos.nemesis.disks.syncs import SEGMENT
from chaos.nemesis.fault import Fault, Site
from chaos.nemesis.faulty_nodes import add_flags, other_program
from chaos.nemesis.fuse import mounting

SIZE = 64 << 20
PIECE = 1 << 16

_helpers: dict[Path, Helper] = {}


def fill(file: Path) -> int:
    """Write a file until there is no room; its size."""
    size = 0
    with file.open("wb", buffering=0) as stream:
        for piece in (PIECE, 4096):
            with contextlib.suppress(OSError):
                while True:
                    size += stream.write(bytes(piece))
    return size


class FullTmpfs(Fault):
    """The last node's data lies on a small tmpfs; a ballast takes what is left of it."""

    name = "full-tmpfs"
    about = "the last node's file system, a small tmpfs, is full, then it has room again"
    needs = "root"
    takes = True
    spans = ((1.0, 2.5), (2.5, 6.0))

    @classmethod
    def missing(cls) -> str | None:
        """Why it cannot be done here."""
        return other_program() or super().missing()

    @classmethod
    def prepare(cls, site: Site) -> None:
        """Attach it, and let the last node have its data there."""
        node = site.nodes.ids[-1]
        folder = site.folder / "tmpfs"
        add_flags(
            site,
            raft_segment_bytes=SEGMENT,
            raft_snapshot_bytes=SNAPSHOT_EVERY,
            raft_keep_entries=FEW_ENTRIES,
        )
        _helpers[folder] = Helper("chaos.nemesis.disks.small", folder, str(SIZE))
        data = folder / node
        data.mkdir(mode=0o700)
        site.nodes.launch[node].data = data

    @classmethod
    def clear(cls, site: Site) -> None:
        """Save what is on it and detach it."""
        folder = site.folder / "tmpfs"
        helper = _helpers.pop(folder, None)
        if helper is not None:
            (folder / "ballast").unlink(missing_ok=True)
            save(folder, site.folder / "data-of-tmpfs")
            helper.close()

    def start(self) -> None:
        """Fill it."""
        self.nodes = (self.site.nodes.ids[-1],)
        self.detail = f"{fill(self.site.folder / 'tmpfs' / 'ballast') >> 20} MiB of ballast"

    def stop(self) -> None:
        """Room again."""
        (self.site.folder / "tmpfs" / "ballast").unlink(missing_ok=True)


def save(folder: Path, to: Path) -> None:
    """Keep what lies on a file system that is about to go, to be looked at."""
    with contextlib.suppress(OSError, shutil.Error):
        shutil.copytree(folder, to, dirs_exist_ok=True)


def main() -> int:
    """Attach, wait for the end of the input, detach; 74 where it cannot be attached."""
    folder, size = Path(sys.argv[1]), sys.argv[2]
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    try:
        mounting.mount(folder, "tmpfs", f"size={size},mode=700")
    except OSError as error:
        print(f"tmpfs: {folder}: {error}", file=sys.stderr)
        return 74
    print("ready", flush=True)
    while os.read(sys.stdin.fileno(), 4096):
        continue
    mounting.unmount(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
