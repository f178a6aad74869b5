"""`demo`: a leader is killed, and what must outlive it is shown, with measured times.

A cluster of its own, in a temporary folder and on other ports. Every line is a check: where one
fails the demo says so, keeps the folder, and ends with 1.
"""

from __future__ import annotations

import asyncio
import shutil
import signal
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cluster.folder import DataFolder, held
from cluster.http import NoAnswer, Reply, request
from cluster.member import Member
from cluster.places import Places, free_port
from cluster.problem import Problem
from cluster.state import State
from cluster.supervisor import Supervisor
from cluster.up import node_program

LONGEST = 28.0
"""Seconds after which the demo counts as failed."""
INTERRUPTED = 130
LOCK = "/v1/locks/orders%2F42"
RING = "/v1/rings/shards"
KEYS = [f"customer-{number}" for number in range(200)]
PARTICIPANTS = ["bank", "stock"]


class Wrong(Exception):
    """A check failed; the text says what was seen."""


def demo() -> int:
    """0 when everything outlived the leader; 1, and the folder stays, when something did not."""
    folder = Path(tempfile.mkdtemp(prefix="raftcoord-demo-"))
    status = INTERRUPTED
    try:
        with held(Places(folder)) as data:
            data.prepare(State.fresh(3, free_port(3)))
            status = asyncio.run(_run(data))
    finally:
        if status in (0, INTERRUPTED):
            shutil.rmtree(folder, ignore_errors=True)
    if status == 1:
        raise Problem(f"the demo failed; the nodes' logs are in {folder}")
    return status


async def _run(folder: DataFolder) -> int:
    ready = asyncio.Event()
    quiet: list[str] = []
    supervisor = Supervisor(
        folder,
        program=node_program(),
        restart=True,
        say=quiet.append,
        on_ready=lambda _: ready.set(),
    )
    running = asyncio.create_task(supervisor.run())
    story = asyncio.create_task(Story(supervisor).tell(ready))
    try:
        async with asyncio.timeout(LONGEST):
            await asyncio.wait((running, story), return_when=asyncio.FIRST_COMPLETED)
        if not story.done():
            await running
            return INTERRUPTED
        story.result()
    except (Wrong, NoAnswer, TimeoutError, Problem) as error:
        print(f"\nWRONG: {str(error) or 'it took too long'}\n")
        print("\n".join(quiet[-20:]))
        return 1
    finally:
        story.cancel()
        supervisor.stop_asked.set()
        await asyncio.wait((running,))
    print("\nEverything outlived the leader.")
    return 0


class Story:
    """The steps, in order; each prints one line with the milliseconds it took."""

    def __init__(self, supervisor: Supervisor) -> None:
        self.supervisor = supervisor
        self.begun = time.perf_counter()
        self.dead: Member | None = None

    async def tell(self, ready: asyncio.Event) -> None:
        print("Three nodes in a folder of their own; one of them will be killed.\n", flush=True)
        await ready.wait()
        leader = self._leader()
        self._line("three nodes run", f"{leader.id} leads")
        token = await self._take_lock()
        version, places = await self._make_ring()
        transaction = await self._prepare_transaction()

        print()
        self._restart_clock()
        pid = leader.pid
        leader.signal(signal.SIGKILL)
        self.dead = leader
        killed = time.perf_counter()
        self._line(f"killed {leader.id}", f"the leader, process {pid}, with SIGKILL")
        await self._lock_is_held(token)
        after = (time.perf_counter() - killed) * 1000
        await self._rival_is_refused(token)
        await self._ring_is_the_same(version, places)
        await self._transaction_commits(transaction)
        await self._lock_is_released(token)
        successor = await self._successor(leader)
        print(f"  {successor} leads now; the first answer came {after:.0f} ms after the kill")
        self._restart_clock()
        await self._until(lambda: leader.phase == "ready" and leader.pid != pid, "comes back")
        self._line(f"{leader.id} is back", "it caught up as a follower")

    # Before the kill.

    async def _take_lock(self) -> int:
        body = {"owner": "worker-1", "ttl": 60}
        taken = await self._ask("POST", f"{LOCK}/acquire", body)
        token = int(_field(taken, 200, "token"))
        self._line("took the lock orders/42", f"worker-1 holds it, token {token}")
        return token

    async def _make_ring(self) -> tuple[int, dict[str, Any]]:
        for member in ("shard-a", "shard-b", "shard-c"):
            joined = await self._ask("PUT", f"{RING}/members/{member}", {})
            version = int(_field(joined, 200, "version"))
        places = await self._lookups()
        self._line("made the ring shards", f"3 members, version {version}, {len(KEYS)} keys placed")
        return version, places

    async def _lookups(self) -> dict[str, Any]:
        found = await self._ask("POST", f"{RING}/lookup", {"keys": KEYS})
        places: dict[str, Any] = _field(found, 200, "members")
        return places

    async def _prepare_transaction(self) -> int:
        body = {"participants": PARTICIPANTS, "timeout": 60}
        begun = await self._ask("POST", "/v1/transactions", body)
        number = int(_field(begun, 200, "id"))
        for participant in PARTICIPANTS:
            vote = {"participant": participant, "vote": "commit"}
            voted = await self._ask("POST", f"/v1/transactions/{number}/votes", vote)
            _expect(_field(voted, 200, "state") == "open", f"a vote answered {voted.body}")
        self._line(f"prepared transaction {number}", f"{' and '.join(PARTICIPANTS)} voted commit")
        return number

    # After it.

    async def _lock_is_held(self, token: int) -> None:
        found = await self._ask("GET", LOCK)
        holders = [(h["owner"], h["token"]) for h in _field(found, 200, "holders")]
        _expect(holders == [("worker-1", token)], f"the lock's holders are {holders}")
        self._line("the lock is held", f"by worker-1, under the same token {token}")

    async def _rival_is_refused(self, token: int) -> None:
        body = {"owner": "rival", "ttl": 60}
        refused = await self._ask("POST", f"{LOCK}/acquire", body)
        slug = _field(refused, 409, "type")
        _expect(str(slug).endswith("lock-held"), f"the rival was answered {refused.body}")
        self._line("a rival is refused", "409 lock-held")

    async def _ring_is_the_same(self, version: int, places: dict[str, Any]) -> None:
        found = await self._ask("GET", RING)
        now = _field(found, 200, "version")
        _expect(now == version, f"the ring's version is {now}, it was {version}")
        _expect(await self._lookups() == places, "keys moved on the ring")
        self._line("the ring is the same", f"version {version}, every key where it was")

    async def _transaction_commits(self, number: int) -> None:
        committed = await self._ask("POST", f"/v1/transactions/{number}/commit", {})
        decision = _field(committed, 200, "decision")
        _expect(decision == "commit", f"the transaction ended with {decision}")
        self._line("the transaction commits", f"transaction {number}")

    async def _lock_is_released(self, token: int) -> None:
        body = {"owner": "worker-1", "token": token}
        _field(await self._ask("POST", f"{LOCK}/release", body), 200, "token")
        taken = await self._ask("POST", f"{LOCK}/acquire", {"owner": "rival", "ttl": 60})
        higher = int(_field(taken, 200, "token"))
        _expect(higher > token, f"token {higher} was granted after {token}")
        self._line("released, and the rival has it", f"under the higher token {higher}")

    async def _successor(self, dead: Member) -> str:
        watch = self.supervisor.watch
        await self._until(lambda: watch.leader is not None, "leads")
        leader = self._leader()
        _expect(leader is not dead, f"{dead.id} leads, and it was killed")
        return leader.id

    # Means.

    def _leader(self) -> Member:
        name = (self.supervisor.watch.leader or ("", 0))[0]
        return next(member for member in self.supervisor.members if member.id == name)

    async def _until(self, reached: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + 15
        while not reached():
            _expect(time.monotonic() < deadline, f"no node {what} within 15 s")
            await asyncio.sleep(0.01)

    async def _ask(self, method: str, path: str, body: Any = None) -> Reply:
        """Ask any living node, another one when one has no leader to turn to. Everything asked
        here is safe to repeat: what answers 503 unknown outcome is a read, or is refused or
        answered alike the second time."""
        deadline = time.monotonic() + 10
        seen = ""
        while time.monotonic() < deadline:
            for member in self.supervisor.members:
                if member is self.dead:
                    continue
                try:
                    reply = await request(member.place.port, method, path, body, timeout=5)
                except NoAnswer as error:
                    seen = str(error)
                    continue
                if reply.status != 503:
                    return reply
                seen = str(reply.body)
            await asyncio.sleep(0.01)
        raise Wrong(f"{method} {path} got no answer in 10 s; the last was {seen}")

    def _restart_clock(self) -> None:
        self.begun = time.perf_counter()

    def _line(self, what: str, details: str) -> None:
        took = (time.perf_counter() - self.begun) * 1000
        print(f"  {what:<34}{took:>8.1f} ms   {details}", flush=True)
        self._restart_clock()


def _field(reply: Reply, status: int, name: str) -> Any:
    """A field of the answer that must have come."""
    if reply.status != status or not isinstance(reply.body, dict) or name not in reply.body:
        raise Wrong(f"expected {status} with {name!r}, got {reply.status}: {reply.body}")
    return reply.body[name]


def _expect(condition: bool, otherwise: str) -> None:
    if not condition:
        raise Wrong(otherwise)
