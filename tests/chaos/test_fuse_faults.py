"""Real nodes whose disks fail below the operating system, and lose their power."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from chaos.nemesis.disks import (
    FullTmpfs,
    FuseFailedSync,
    FuseFlippedRead,
    FuseFullDisk,
    FuseReadError,
    FuseSlowSync,
    PowerCut,
    PowerCutAll,
)
from chaos.nemesis.fault import NotReached, Site
from chaos.nemesis.fuse import mounting
from cluster.member import last_line
from tests.chaos.real_site import judged, of, real_site, status

pytestmark = pytest.mark.skipif(
    mounting.missing() is not None, reason=f"no FUSE here: {mounting.missing()}"
)

KINDS = (
    FuseFailedSync,
    FuseSlowSync,
    FuseFullDisk,
    FuseReadError,
    FuseFlippedRead,
    PowerCut,
    PowerCutAll,
)
Patch = pytest.MonkeyPatch


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("fuse-nodes")
    with real_site(folder, *KINDS) as made:
        yield made
    assert folder / "fuse" not in mounting.mounts()
    assert any((folder / "data-of-fuse" / "n1" / "journal").iterdir())


def test_a_cluster_on_it_is_quick_enough(site: Site) -> None:
    with judged(site, callers=6, pause=0) as load:
        begun = time.monotonic()
        load.more(400)
        assert 400 / (time.monotonic() - begun) > 200


def test_a_node_whose_fsync_fails_ends(site: Site, monkeypatch: Patch) -> None:
    fault = of(FuseFailedSync, site, monkeypatch, leader=False)
    with judged(site) as load:
        fault.start()
        assert "Input/output error" in last_line(site.nodes.place(fault.node).log)
        load.more()
        fault.stop()


def test_a_node_does_not_start_on_a_flipped_bit(site: Site, monkeypatch: Patch) -> None:
    fault = of(FuseFlippedRead, site, monkeypatch, leader=False)
    with judged(site):
        fault.start()
        assert "at byte 0: the header" in last_line(site.nodes.place(fault.node).log)
        fault.stop()


def test_a_node_goes_on_where_its_disk_is_slow_or_full(site: Site, monkeypatch: Patch) -> None:
    slow = of(FuseSlowSync, site, monkeypatch, leader=False)
    full = of(FuseFullDisk, site, monkeypatch, leader=True)
    with judged(site, pad=2_000) as load:
        slow.start()
        load.more()
        assert slow.control.hits > 0
        slow.stop()
        full.start()
        site.wait(lambda: status(site, full.node).get("full") is True, "it says that it is full")
        site.wait(lambda: site.leader() != full.node, "another leads")
        load.more()
        full.stop()
        site.wait(lambda: status(site, full.node).get("full") is False, "it has room again")


def test_a_power_cut_takes_nothing_that_was_acknowledged(site: Site) -> None:
    lost = 0
    with judged(site) as load:
        for kind, pick in ((PowerCut, 0.1), (PowerCutAll, 0.5)):
            fault = kind(site, pick)
            fault.start()
            lost += sum(int(words.split()[2]) for words in fault.detail.split(", "))
            fault.stop()
            site.until_ready()
            load.more()
    assert lost > 0


def test_a_cluster_that_acknowledges_what_it_did_not_sync_is_found_out(tmp_path: Path) -> None:
    def cut_and_judge(site: Site) -> None:
        for pick in (0.1, 0.2, 0.3, 0.4, 0.5):
            fault = PowerCutAll(site, pick)
            with judged(site) as load:
                load.more(100)
                fault.start()
                fault.stop()
                site.until_ready()

    program = [sys.executable, "-m", "tests.chaos.careless_node"]
    with real_site(tmp_path, PowerCutAll, program=program) as site:
        # Grants are gone, or so much is that a node says its journal is damaged.
        with pytest.raises((AssertionError, NotReached), match=r"lost, e\.g\.|ended by itself"):
            cut_and_judge(site)


def test_the_last_node_can_lie_on_a_tmpfs_instead(tmp_path: Path) -> None:
    if (reason := FullTmpfs.missing()) is not None:
        pytest.skip(reason)
    for order in ([PowerCut, FullTmpfs], [FullTmpfs, PowerCut]):
        folder = tmp_path / order[0].name
        folder.mkdir()
        with real_site(folder, *order, start=False) as site:
            places = {node: launch.data for node, launch in site.nodes.launch.items()}
            assert places == {
                "n1": folder / "fuse" / "n1",
                "n2": folder / "fuse" / "n2",
                "n3": folder / "tmpfs" / "n3",
            }
        shutil.rmtree(folder)
