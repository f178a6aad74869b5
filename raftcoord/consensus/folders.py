"""Folders that survive a power cut."""

import os

from raftcoord.consensus.edges import Disk


def make_folder(disk: Disk, path: str) -> None:
    """Make the folder and its parents, durable; nothing where it is there already."""
    made: list[str] = []
    at = path
    while at and not disk.exists(at):
        made.append(at)
        at = os.path.dirname(at)
    disk.make_dir(path)
    for folder in reversed(made):
        disk.sync_dir(os.path.dirname(folder) or ".")
