"""What a real node does when its disk fails is what the documents say, and nothing acknowledged is
lost."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from chaos.nemesis.disks import (
    FailedSync,
    FlippedJournal,
    FlippedRead,
    FlippedSnapshot,
    FullDisk,
    FullTmpfs,
    ReadError,
    SlowSync,
    StalledSync,
)
from chaos.nemesis.disks.damage import newest_snapshot, synced_bytes
from chaos.nemesis.fault import CannotInject, NotReached, Site
from chaos.nemesis.faulty_nodes import PROGRAM, FaultyFault
from cluster.member import last_line
from tests.chaos.real_site import judged, of, real_site, status

HERE = (FailedSync, SlowSync, StalledSync, FullDisk, ReadError, FlippedRead, FlippedJournal)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with real_site(tmp_path_factory.mktemp("disks"), *HERE, FlippedSnapshot) as made:
        yield made


def code_of(site: Site, node: str) -> int | None:
    """The exit code of a node that ended."""
    return site.nodes._processes[node].poll()


def log_of(site: Site, node: str) -> str:
    return site.nodes.place(node).log.read_text()


Patch = pytest.MonkeyPatch


def test_a_failed_sync_ends_the_node_with_a_reason(site: Site, monkeypatch: Patch) -> None:
    fault = of(FailedSync, site, monkeypatch, leader=True)
    with judged(site) as load:
        fault.start()
        assert code_of(site, fault.node) == 70
        assert "Input/output error" in last_line(site.nodes.place(fault.node).log)
        load.more()  # the other two go on
        with pytest.raises(NotReached, match=r"ended, but said: .*a fault of the nemesis"):
            fault.until_ended("it was tired")
        fault.stop()


def test_a_node_with_slow_syncs_goes_on(site: Site, monkeypatch: Patch) -> None:
    fault = of(SlowSync, site, monkeypatch, leader=True)
    with judged(site) as load:
        fault.start()
        load.more(100)
        assert fault.control.hits > 5
        assert site.leader() == fault.node
        fault.stop()


def test_a_follower_whose_syncs_stall_acknowledges_nothing(site: Site, monkeypatch: Patch) -> None:
    fault = of(StalledSync, site, monkeypatch, leader=False)
    with judged(site) as load:
        fault.start()
        site.wait(lambda: fault.control.hits > 0, "a sync is held up")
        leader = site.leader()
        match = status(site, leader)["peers"][fault.node]["match"]
        load.more(100)
        assert status(site, leader)["peers"][fault.node]["match"] <= match + 5
        assert status(site, leader)["commit"] > match + 50
        fault.stop()
        site.wait(lambda: status(site, leader)["peers"][fault.node]["lag"] < 50, "it has caught up")


def test_a_leader_whose_syncs_stall_does_not_count_itself(site: Site, monkeypatch: Patch) -> None:
    fault = of(StalledSync, site, monkeypatch, leader=True)
    with judged(site) as load:
        fault.start()
        site.wait(lambda: fault.control.hits > 0, "a sync is held up")
        load.more(100)  # by the word of the other two
        fault.stop()


def test_a_node_whose_syncs_stall_can_end_when_the_run_gives_up(
    site: Site, monkeypatch: Patch
) -> None:
    fault = of(StalledSync, site, monkeypatch, leader=True)
    with judged(site) as load:
        fault.start()
        site.wait(lambda: fault.control.hits > 0, "a sync is held up")
        load.more()
        fault.give_up()
        began = time.monotonic()
        site.nodes.stop(fault.node)
        assert time.monotonic() - began < 8, "it had to be killed"
        site.nodes.start(fault.node)


def test_a_leader_whose_disk_is_full_hands_over(site: Site, monkeypatch: Patch) -> None:
    fault = of(FullDisk, site, monkeypatch, leader=True)
    with judged(site, pad=2_000) as load:
        fault.start()
        site.wait(lambda: status(site, fault.node).get("full") is True, "it says that it is full")
        site.wait(lambda: site.leader() != fault.node, "another leads")
        load.more(100)
        assert site.nodes.running(fault.node)
        fault.stop()
        site.wait(lambda: status(site, fault.node).get("full") is False, "it has room again")
    assert "disk is full, handing over" in log_of(site, fault.node)


def test_a_follower_whose_disk_is_full_stops_acknowledging(site: Site, monkeypatch: Patch) -> None:
    fault = of(FullDisk, site, monkeypatch, leader=False)
    with judged(site, pad=2_000) as load:
        fault.start()
        leader = site.leader()
        lags = lambda: status(site, leader)["peers"][fault.node]["lag"]  # noqa: E731
        site.wait(lambda: (lags() or 0) > 100, "it stays behind")
        load.more()
        assert site.nodes.running(fault.node)
        assert status(site, fault.node)["full"] is True
        fault.stop()
        site.wait(lambda: lags() < 50, "it has caught up")


@pytest.mark.parametrize(
    ("kind", "code", "words"),
    [(ReadError, 74, "cannot go on: [Errno 5]"), (FlippedRead, 65, "at byte 0: the header")],
    ids=lambda value: getattr(value, "name", None),
)
def test_a_node_does_not_start_on_what_it_cannot_read(
    site: Site, monkeypatch: Patch, kind: type[FaultyFault], code: int, words: str
) -> None:
    fault = of(kind, site, monkeypatch, leader=False)
    with judged(site):
        fault.start()
        assert code_of(site, fault.node) == code
        assert words in last_line(site.nodes.place(fault.node).log)
        fault.stop()


@pytest.mark.parametrize("kind", [FlippedJournal, FlippedSnapshot], ids=lambda kind: kind.name)
def test_flipped_bits_are_refused_with_their_place_and_the_node_rejoins(
    site: Site, monkeypatch: Patch, kind: type[FlippedJournal]
) -> None:
    fault = of(kind, site, monkeypatch, leader=False)
    with judged(site, pad=2_000) as load:
        if kind is FlippedSnapshot:
            paths = [site.nodes.place(node).data / "snapshots" for node in site.nodes.ids]
            site.wait(lambda: all(any(path.glob("*.snap")) for path in paths), "snapshots")
            load.more(50)
        fault.start()
        assert code_of(site, fault.node) == 65
        said = last_line(site.nodes.place(fault.node).log)
        assert fault.detail.split()[0] in said
        assert ("snapshots/" in said) == (kind is FlippedSnapshot)
        fault.stop()
        assert status(site, fault.node)["role"] != "learner"


def test_a_fault_starts_no_node_that_another_one_killed(site: Site, monkeypatch: Patch) -> None:
    fault = of(SlowSync, site, monkeypatch, leader=False)
    with judged(site):
        fault.start()
        site.nodes.kill(fault.node)
        fault.stop()
        assert not site.nodes.running(fault.node)
        site.nodes.start(fault.node)


@pytest.mark.parametrize("kind", [*HERE, FlippedSnapshot], ids=lambda kind: kind.name)
def test_a_fault_that_never_began_is_stopped_without_a_word(
    site: Site, kind: type[FaultyFault]
) -> None:
    kind(site, 0.1).stop()
    assert all(map(site.nodes.running, site.nodes.ids))


# How far what is flipped was synced.


def test_no_bit_is_flipped_that_a_node_may_leave_out(site: Site) -> None:
    data = site.nodes.place("n1").data
    ends = synced_bytes(data / "journal")
    assert ends
    for file, end in ends.items():
        content = file.read_bytes()
        assert 0 < end <= len(content.rstrip(b"\0")) + 1
    assert newest_snapshot(data) is not None


def test_a_journal_without_anything_synced_is_not_damaged(tmp_path: Path) -> None:
    (tmp_path / "journal").mkdir()
    (tmp_path / "journal" / "journal-00000001.log").write_bytes(bytes(100))
    assert synced_bytes(tmp_path / "journal") == {}
    assert newest_snapshot(tmp_path) is None
    fault = FlippedJournal.__new__(FlippedJournal)
    fault.nodes = ("n1",)
    with pytest.raises(CannotInject, match="n1"):
        fault.damage(tmp_path)


def test_nodes_of_another_program_are_left_alone(monkeypatch: Patch) -> None:
    monkeypatch.setenv(PROGRAM, "python3 fake_node.py")
    assert PROGRAM in (FailedSync.missing() or "")
    assert PROGRAM in (FullTmpfs.missing() or "")
    monkeypatch.setenv(PROGRAM, "python3.12 -m raftcoord")
    assert FailedSync.missing() is None
