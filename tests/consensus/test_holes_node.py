"""What must hold beyond the findings, at the node's own face: its data folder, its answers."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from chaos.simulation.disk import SimDisk
from raftcoord.consensus.node import MemberAddress, Node, NodeSettings, Outcome
from raftcoord.errors import ConfigInvalid, DataDamaged, DataLocked, DataMissing
from tests.consensus.lockstep import Log, NothingKept, Stopped


class LoopEdges:
    """Edges of a process on a simulated disk, in a real loop."""

    def __init__(self, disk: SimDisk) -> None:
        self.disk = disk
        self.draws = 0

    def monotonic(self) -> float:
        return asyncio.get_running_loop().time()

    def random(self) -> float:
        return 0.5

    def random_bytes(self, count: int) -> bytes:
        self.draws += 1
        return self.draws.to_bytes(count, "big")

    def run(
        self, job: Callable[[], Any], done: Callable[..., None], *, lane: str = "journal"
    ) -> None:
        try:
            result, error = job(), None
        except OSError as failure:
            result, error = None, failure
        asyncio.get_running_loop().call_soon(done, result, error)

    def fork(self, job: Callable[[], None], done: Callable[[int], None]) -> None:
        job()
        asyncio.get_running_loop().call_soon(done, 0)

    def stop(self, reason: str) -> None:
        raise Stopped(reason)


def settings(start: str = "normal", *, node: str = "n1", cluster: str = "c") -> NodeSettings:
    """One member of a cluster of one."""
    return NodeSettings(
        id=node,
        cluster=cluster,
        data="data/n1",
        host="127.0.0.1",
        port=0,
        secret=b"secret",
        members={node: MemberAddress("127.0.0.1:1", "127.0.0.1:2")},
        start=start,  # type: ignore[arg-type]
        segment_bytes=1 << 16,
    )


async def proposed(node: Node, *payloads: bytes) -> list[Outcome]:
    """How they ended."""
    outcomes: list[Outcome] = []
    all_told = asyncio.Event()

    def done(outcome: Outcome) -> None:
        outcomes.append(outcome)
        if len(outcomes) == len(payloads):
            all_told.set()

    for payload in payloads:
        node.propose(payload, done)
    async with asyncio.timeout(5):
        await all_told.wait()
    return outcomes


async def leads(node: Node) -> None:
    """Wait until it does."""
    async with asyncio.timeout(5):
        while not (node.status().ready and node.status().role == "leader"):
            await asyncio.sleep(0)


def run(disk: SimDisk, chosen: NodeSettings, *payloads: bytes) -> Log:
    """Start a node, propose, and stop it; what its machine has then."""

    async def life() -> Log:
        machine = Log()
        node = Node(chosen, machine, LoopEdges(disk), None)
        await node.start()
        try:
            await leads(node)
            if payloads:
                outcomes = await proposed(node, *payloads)
                assert [outcome.reply for outcome in outcomes] == list(payloads)
        finally:
            await node.stop()
        return machine

    return asyncio.run(life())


def test_amnesia_an_empty_folder_refuses_to_start() -> None:
    with pytest.raises(DataMissing) as refused:
        run(SimDisk(), settings())
    assert refused.value.exit_code == 66
    assert "rejoin n1" in refused.value.detail
    assert "--init" in refused.value.detail
    assert refused.value.fields["path"] == "data/n1"


def test_amnesia_a_folder_that_was_emptied_refuses_to_start() -> None:
    disk = SimDisk()
    run(disk, settings("init"), b"value")
    for name in disk.list("data/n1/journal"):
        disk.remove(f"data/n1/journal/{name}")
    disk.crash()
    with pytest.raises(DataMissing):
        run(disk, settings())


@pytest.mark.parametrize("start", ["normal", "init", "join"])
def test_a_folder_with_data_is_taken_up_however_the_node_is_started(start: str) -> None:
    disk = SimDisk()
    run(disk, settings("init"), b"value")
    disk.crash()
    assert run(disk, settings(start)).seen == [b"value"]


def test_what_a_new_node_answered_survives_a_power_cut() -> None:
    """Also the folder itself: it was made a moment ago."""
    disk = SimDisk()
    run(disk, settings("init"), b"one", b"two")
    disk.crash(NothingKept(), power=True)
    assert run(disk, settings(), b"three").seen == [b"one", b"two", b"three"]


def test_a_folder_of_another_node_or_cluster_refuses() -> None:
    disk = SimDisk()
    run(disk, settings("init"))
    for other in (settings(node="n2"), settings(cluster="d")):
        disk.crash()
        with pytest.raises(ConfigInvalid):
            run(disk, other)


def test_a_folder_in_use_refuses() -> None:
    disk = SimDisk()
    assert disk.lock("data/n1/lock")
    with pytest.raises(DataLocked):
        run(disk, settings("init"))


def test_a_damaged_folder_refuses() -> None:
    disk = SimDisk()
    run(disk, settings("init"), b"value")
    run_again = settings()
    disk.crash()
    run(disk, run_again)
    disk.crash()
    [*_, file] = [n for n in disk.list("data/n1/journal") if b"value" in content(disk, n)]
    disk.flip(f"data/n1/journal/{file}", content(disk, file).index(b"value"))
    with pytest.raises(DataDamaged) as refused:
        run(disk, run_again)
    assert refused.value.exit_code == 65


def content(disk: SimDisk, name: str) -> bytes:
    """A journal file's bytes."""
    return disk.content(f"data/n1/journal/{name}")
