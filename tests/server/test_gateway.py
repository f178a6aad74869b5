"""The gateway under faults: every caller gets one answer, and nothing is executed twice."""

import asyncio

import pytest

from raftcoord.commands import KeepAlive, OpenSession, decode
from raftcoord.errors import NoLeader, OutcomeUnknown, Overloaded, StorageFull
from raftcoord.machine.state import Machine
from raftcoord.server.gateway import Gateway
from raftcoord.server.submissions import WINDOW, Settled, Submissions
from tests.server.fakes import FakeNode, Fault
from tests.server.house import in_loop, served, until

pytestmark = pytest.mark.usefixtures("each_way")


def opened(**bounds: int) -> tuple[Gateway, FakeNode]:
    """A gateway with its node, without a door."""
    machine = Machine()
    node = FakeNode(machine)
    gateway = Gateway(machine, **bounds)
    node.on_applied = gateway.on_applied
    gateway.open(node, "n1", 1)
    return gateway, node


ON_THE_WAY: list[list[Fault]] = [
    ["answer-lost"],
    ["lost"],
    ["no-leader"],
    ["no-leader", "no-leader", "answer-lost", "no-leader", "lost"],
    ["answer-lost", "overloaded"],
    ["answer-lost", "storage-full", "answer-lost"],
    ["lost", "answer-lost", "no-leader"],
]


@pytest.mark.parametrize("faults", ON_THE_WAY)
@in_loop
async def test_a_command_is_executed_once_whatever_happens_on_the_way(faults: list[Fault]) -> None:
    async with served() as house:
        house.node.faults.extend(faults)
        assert (await house.post("/v1/sessions", {"ttl": 10})).json()["id"] == 1
        assert house.node.proposed == len(faults) + 1
        assert {decode(entry).seq for entry in house.node.entries} == {1}
        assert (await house.post("/v1/sessions", {"ttl": 10})).json()["id"] == 2


@pytest.mark.parametrize("faults", ON_THE_WAY)
@in_loop
async def test_a_caller_gets_its_grant_once_whatever_happens_on_the_way(
    faults: list[Fault],
) -> None:
    async with served() as house:
        house.node.faults.extend(faults)
        taken = await house.acquire("a", "w")
        assert (taken.status, taken.json()["token"]) == (200, 1)
        assert {decode(entry).seq for entry in house.node.entries} == {1}
        house.node.faults.clear()
        # The next grant has the next token: the first was given once.
        await house.post("/v1/locks/a/release", {"owner": "w", "token": 1})
        assert (await house.acquire("a", "w")).json()["token"] == 2


@in_loop
async def test_the_simple_lock_is_never_refused_what_it_just_took() -> None:
    async with served() as house:
        house.node.faults.append("answer-lost")
        assert (await house.get("/lock?key=k&expire=5&value=v")).status == 200
        house.node.faults.append("answer-lost")
        assert (await house.get("/lock?key=k&expire=0&value=v")).status == 200


@pytest.mark.parametrize(
    ("fault", "status", "slug"),
    [("overloaded", 503, "overloaded"), ("storage-full", 503, "storage-full")],
)
@in_loop
async def test_what_was_refused_is_said_at_once(fault: Fault, status: int, slug: str) -> None:
    async with served() as house:
        house.node.faults.append(fault)
        reply = await house.acquire("a", "w")
        assert (reply.status, reply.json()["type"]) == (status, slug)
        assert int(reply.headers["retry-after"]) >= 1
        assert house.node.proposed == 1


@in_loop
async def test_without_a_leader_nothing_is_executed_and_the_caller_is_told() -> None:
    gateway, node = opened()
    node.has_leader = False
    with pytest.raises(NoLeader):
        await gateway.submit(OpenSession(2_000), timeout=0.05)
    node.has_leader = True
    gateway.leader_changed()
    await asyncio.sleep(0)
    assert node.entries == []
    assert len(gateway.submissions) == 0


@in_loop
async def test_a_new_leader_is_asked_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("raftcoord.server.submissions.FIRST_PAUSE", 1_000.0)
    monkeypatch.setattr("raftcoord.server.submissions.LONGEST_PAUSE", 1_000.0)
    gateway, node = opened()
    node.has_leader = False
    waiting = asyncio.create_task(gateway.submit(OpenSession(2_000)))
    await until(lambda: bool(gateway.submissions._parked))
    node.has_leader = True
    gateway.leader_changed()
    settled = await waiting
    assert isinstance(settled, Settled)
    assert node.proposed == 2


@in_loop
async def test_a_pause_ends_without_anybody_saying_so() -> None:
    gateway, node = opened()
    node.has_leader = False
    waiting = asyncio.create_task(gateway.submit(OpenSession(2_000)))
    await until(lambda: bool(gateway.submissions._parked))
    node.has_leader = True
    assert isinstance(await waiting, Settled)


@pytest.mark.parametrize("faults", [["silent"], ["lost"] * 10_000, ["lost", "silent"]])
@in_loop
async def test_an_outcome_that_stays_unknown_is_said_to_be(faults: list[Fault]) -> None:
    gateway, node = opened()
    node.faults.extend(faults)
    with pytest.raises(OutcomeUnknown):
        await gateway.submit(OpenSession(2_000), timeout=0.05)
    assert len(gateway.submissions) == 0


@in_loop
async def test_unknown_then_no_leader_stays_unknown() -> None:
    gateway, node = opened()
    node.faults.append("answer-lost")
    waiting = asyncio.create_task(gateway.submit(OpenSession(2_000), timeout=0.1))
    await until(lambda: bool(node.entries))
    node.has_leader = False
    with pytest.raises(OutcomeUnknown):
        await waiting


@in_loop
async def test_a_late_outcome_of_a_caller_that_was_told_changes_nothing() -> None:
    gateway, node = opened()
    node.hold()
    with pytest.raises(OutcomeUnknown):
        await gateway.submit(OpenSession(2_000), timeout=0.02)
    node.let_go()
    assert len(node.entries) == 1
    assert len(gateway.submissions) == 0


@in_loop
async def test_low_is_the_lowest_number_without_an_answer() -> None:
    gateway, node = opened()
    node.hold()
    first = asyncio.create_task(gateway.submit(OpenSession(2_000)))
    await until(lambda: node.proposed == 1)
    assert node.held is not None
    lost = node.held.pop()
    node.let_go()
    for _ in range(3):
        await gateway.submit(OpenSession(2_000))
    node.faults.append("lost")
    lost()
    await first
    await gateway.submit(OpenSession(2_000))
    envelopes = [decode(entry) for entry in node.entries]
    lows = {envelope.seq: envelope.low for envelope in envelopes}
    assert (lows[1], lows[2]) == (1, 1)
    last = envelopes[-1]
    assert last.low == last.seq == 5


@in_loop
async def test_the_machine_keeps_few_answers_of_a_busy_gateway() -> None:
    gateway, node = opened()
    for _ in range(50):
        await asyncio.gather(*(gateway.submit(OpenSession(2_000)) for _ in range(20)))
    assert len(node.machine.answers.answers.rows) <= 40


@in_loop
async def test_requests_in_flight_are_bounded_and_priority_has_its_own_room() -> None:
    gateway, node = opened(max_in_flight=3)
    node.hold()
    waiting = [asyncio.create_task(gateway.submit(OpenSession(2_000))) for _ in range(3)]
    await until(lambda: len(gateway.submissions) == 3)
    with pytest.raises(Overloaded):
        await gateway.submit(OpenSession(2_000))
    urgent = asyncio.create_task(gateway.submit(KeepAlive(())))
    await until(lambda: len(gateway.submissions) == 4)
    node.let_go()
    await asyncio.gather(urgent, *waiting)
    assert isinstance(await gateway.submit(OpenSession(2_000)), Settled)


@in_loop
async def test_numbers_do_not_run_away_from_one_that_has_no_answer() -> None:
    gateway, node = opened()
    submissions: Submissions = gateway.submissions
    node.faults.extend(["silent"])
    stuck = asyncio.create_task(gateway.submit(OpenSession(2_000)))
    await until(lambda: node.proposed == 1)
    submissions._next = WINDOW + 1
    with pytest.raises(Overloaded):
        await gateway.submit(OpenSession(2_000))
    stuck.cancel()


@in_loop
async def test_a_full_disk_is_a_refusal_with_a_reason() -> None:
    gateway, node = opened()
    node.faults.append("storage-full")
    with pytest.raises(StorageFull):
        await gateway.submit(OpenSession(2_000))
    assert isinstance(await gateway.submit(OpenSession(2_000)), Settled)


@in_loop
async def test_a_caller_that_goes_away_leaves_its_command_to_itself() -> None:
    async with served() as house:
        house.node.hold()
        connection = await house.connect()
        connection.send("POST", "/v1/sessions", {"ttl": 10})
        await until(lambda: len(house.gateway.submissions) == 1)
        connection.close()
        await until(lambda: house.manager._open == 0)
        house.node.let_go()
        assert len(house.gateway.submissions) == 0
        assert (await house.get("/v1/sessions/1")).status == 200


@in_loop
async def test_a_gateway_that_stops_takes_nothing_new() -> None:
    async with served() as house:
        house.node.hold()
        waiting = asyncio.create_task(house.post("/v1/sessions", {"ttl": 10}))
        await until(lambda: len(house.gateway.submissions) == 1)
        house.gateway.close()
        late = await house.post("/v1/sessions", {"ttl": 10})
        assert (late.status, late.json()["reason"]) == (503, "stopping")
        house.node.let_go()
        assert (await waiting).status == 200
