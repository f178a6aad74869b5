"""Finding 11: a full disk is a SIGBUS to the library's mapped journal, and a refusal to ours."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from raftcoord.consensus.edges import RealEdges
from raftcoord.consensus.journal import Journal

STOCK = """
import sys
import pysyncobj.journal
journal = pysyncobj.journal.FileJournal(sys.argv[1])
for index in range(1, 10_000):
    journal.add(b"x" * 1000, index, 1)
"""


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 256 KiB."""
    if os.geteuid() != 0:
        pytest.skip("a small disk is mounted by root")
    mount = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(tmp_path)]
    if subprocess.run(mount, capture_output=True).returncode != 0:
        pytest.skip("no tmpfs can be mounted here")
    yield tmp_path
    subprocess.run(["umount", "-l", str(tmp_path)], check=True)


def test_finding_11_a_full_disk_kills_the_stock_process_and_is_met_early_by_ours(
    small_disk: Path,
) -> None:
    command = [sys.executable, "-c", STOCK, str(small_disk / "stock")]
    died = subprocess.run(command, capture_output=True, timeout=60)
    assert died.returncode == -signal.SIGBUS
    (small_disk / "stock").unlink()

    folder = str(small_disk / "ours")
    journal = Journal.create(
        RealEdges(),
        folder,
        cluster="c",
        node="n",
        incarnation=0,
        base=[(b"\1", 0, 0)],
        commit=0,
        segment_bytes=160 << 10,
    )
    assert journal.full, "the second file does not fit, and that is known before it is needed"
    for index in range(1, 50):
        journal.add(b"x" * 1000, index, 1)
    job = journal.take()
    assert job is not None
    job()
    journal.taken(None)
    assert journal.synced_index == 49
    journal._destroy()
