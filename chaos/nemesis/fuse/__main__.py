"""The process of a file system: `python3 -m chaos.nemesis.fuse FOLDER --controls FOLDER`.

It says `ready` when it is attached. It takes lines on its standard input: `cut DISK SEED`, to which
it answers `cut COUNT`, the pages and names that were lost. At the end of the input it detaches and
ends, so that it never outlives who started it.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from pathlib import Path

from chaos.nemesis.faulty_control import Control
from chaos.nemesis.fuse import mounting
from chaos.nemesis.fuse.server import Server
from chaos.nemesis.fuse.tree import Tree


def main() -> int:
    """Serve until the input ends; 0, or 74 where it cannot be attached."""
    parser = argparse.ArgumentParser(prog="python3 -m chaos.nemesis.fuse")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--controls", type=Path, required=True, help="holds one for each disk")
    parser.add_argument("--capacity", type=int, default=1 << 30, help="bytes of all files")
    options = parser.parse_args()
    controls = {file.name: Control(file) for file in sorted(options.controls.iterdir())}
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    try:
        device = mounting.mount_fuse(options.folder)
    except OSError as error:
        print(f"fuse: {options.folder}: {error}", file=sys.stderr)
        return 74
    try:
        server = Server(device, Tree(options.capacity), controls)
        print("ready", flush=True)
        server.serve(sys.stdin.fileno(), lambda: _obey(server))
    finally:
        mounting.unmount(options.folder)
    return 0


def _obey(server: Server) -> bool:
    """Take what came on the input; False at its end."""
    words = os.read(sys.stdin.fileno(), 4096).split()
    for position in range(0, len(words), 3):
        verb, disk, seed = words[position : position + 3]
        assert verb == b"cut"
        print("cut", server.lose_power(disk.decode(), int(seed)), flush=True)
    return bool(words)


if __name__ == "__main__":
    sys.exit(main())
