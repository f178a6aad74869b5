"""A run: real node processes, real client processes, and a nemesis that kills; then the judges.

The steps: start a cluster of its own; start the clients; round by round kill, start anew, and wait
until a write was accepted again and all nodes are ready; stop the clients; read everything through
every node; stop the nodes. Every wait is bounded. Whatever was started is stopped in the end,
however the run ends; on Linux the nodes also die with the runner, and the clients when it is gone.

The runner is one thread: its processes are forked from it.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from types import FrameType

from chaos import history
from chaos.checkers.counters import FRESH
from chaos.checkers.reads import FINAL
from chaos.clients import ClientDied, Clients
from chaos.final import read_everything, wait_for_rest
from chaos.history import FORMAT, Fault, Header, Line, Writer
from chaos.nemesis.nodes import Nodes
from chaos.nemesis.schedule import Round
from chaos.workloads.agent import Agent
from chaos.workloads.process import Plan
from cluster.folder import DataFolder
from cluster.member import last_line
from cluster.places import HOST, PEER_OFFSET, check_ports, is_free
from cluster.problem import Problem
from cluster.processes import describe_end

NODES = 3
START = 60.0
"""Seconds for a new cluster to come up."""
REST = 45.0
"""Seconds to come to rest in the end; longer than the longest lease of the loads."""
END = 8.0
"""Seconds that the last look, the stopping and the judges take, as a rule."""
LOOK = 0.02
PROBE_PAUSE = 0.02
Say = Callable[[str], None]


@dataclass(frozen=True)
class Settings:
    """What to run.

    Args:
        rounds: the schedule.
        folder: takes everything; it holds no cluster yet.
        history: where the history goes.
        rate: operations per second of all clients together, at most; probes come on top.
        seconds: no round begins that would, as long as the longest so far, end later than this
            with all that comes behind the last one.
        program: what runs a node, before `serve --config …`.
        patience: seconds within which a write must be accepted and all nodes be ready again.
    """

    rounds: list[Round]
    seed: int
    folder: Path
    history: Path
    clients: int = 6
    workloads: tuple[str, ...] = ("locks", "sessions", "rings", "transactions", "simple")
    rate: float = 300.0
    port: int | None = None
    seconds: float | None = None
    program: list[str] = field(default_factory=list)
    patience: float = 60.0


class CannotRun(Exception):
    """The run could not be done, which says nothing about the cluster's rules; one sentence."""


@dataclass
class Ended:
    """How a run ended. `rounds`: how many were completed."""

    rounds: int = 0
    interrupted: bool = False
    out_of_time: bool = False


class Run:
    """One run; `say` takes a line of progress."""

    def __init__(self, settings: Settings, folder: DataFolder, say: Say) -> None:
        self._settings = settings
        self._say = say
        state = folder.settle(NODES, settings.port or free_port())
        check_ports(folder.places.nodes(NODES, state.port), "give others with --port")
        folder.prepare(state)
        self._nodes = Nodes(folder, settings.program)
        self._header = Header(FORMAT, self._nodes.ids, self._words())
        self._clients = Clients(settings.folder)
        self._own = settings.folder / "nemesis.jsonl"
        self._writer = Writer(self._own, self._header)
        self._began = self._round_began = time.monotonic()
        self._longest = 0.0
        self._ended = Ended()
        self._lost = False

    def _words(self) -> dict[str, object]:
        settings = self._settings
        return {
            FRESH: True,
            "seed": settings.seed,
            "rounds": len(settings.rounds),
            "clients": settings.clients,
            "workloads": list(settings.workloads),
            "rate": settings.rate,
        }

    def go(self) -> Ended:
        """Run it to its end and save the history; raises CannotRun."""
        try:
            self._start()
            self._round_began = time.monotonic()
            for number, planned in enumerate(self._settings.rounds, 1):
                if self._time_is_over():
                    self._ended.out_of_time = True
                    break
                if not self._round(number, planned):
                    self._lost = True
                    break
                self._ended.rounds = number
            self._clients.stop()
            if not self._lost:
                self._last_look()
        except KeyboardInterrupt:
            self._ended.interrupted = True
            self._say("interrupted; stopping, and judging what was seen")
        except ClientDied as error:
            raise CannotRun(str(error)) from error
        finally:
            self._stop()
        return self._ended

    def _start(self) -> None:
        self._say(f"starting {NODES} nodes on {', '.join(map(str, self._nodes.ports.values()))}")
        self._nodes.start(*self._nodes.ids)
        problem = self._wait(self._all_ready, START)
        if problem is not None:
            raise CannotRun(f"the cluster did not come up: {problem}")
        settings = self._settings
        agents = settings.clients * len(settings.workloads)
        for number in range(1, settings.clients + 1):
            pause = agents / settings.rate
            self._start_client(f"c{number}", settings.workloads, pause)
        self._start_client("probe", ("probe",), PROBE_PAUSE)
        since = time.monotonic_ns()
        problem = self._wait(lambda: self._clients.write_accepted(since) is not None, START)
        if problem is not None:
            raise CannotRun(f"no write was accepted by the new cluster: {problem}")

    def _start_client(self, name: str, workloads: tuple[str, ...], pause: float) -> None:
        file = self._settings.folder / f"{name}.jsonl"
        plan = Plan(name, self._settings.seed, self._nodes.ports, workloads, pause, str(file))
        self._clients.start(plan)

    # Rounds.

    def _round(self, number: int, planned: Round) -> bool:
        """One kill and recovery; False where the cluster did not come back."""
        patience = self._settings.patience
        problem = self._rest(planned.before)
        leaders: list[str] = []
        problem = problem or self._wait(lambda: self._found_leader(leaders), patience)
        if problem is not None:
            return self._no_recovery(number, problem)
        victims = self._victims(planned, leaders[-1])
        self._clients.forget_writes()
        killed = self._nodes.kill(*victims)
        self._note(Fault(killed, "kill", number, victims, planned.victim))
        problem = self._rest(planned.down)
        begun = time.monotonic_ns()
        self._note(Fault(begun, "start", number, victims))
        self._nodes.start(*victims)
        problem = problem or self._wait(lambda: self._recovered(killed), patience)
        if problem is not None:
            return self._no_recovery(number, problem)
        now = time.monotonic_ns()
        seconds = self._clients.write_accepted(killed)
        self._note(Fault(now, "recovered", number, victims, planned.victim, seconds))
        self._say(self._line(number, planned, victims, seconds, (now - begun) / 1e9))
        return True

    def _found_leader(self, leaders: list[str]) -> bool:
        leader = self._nodes.leader()
        leaders += [] if leader is None else [leader]
        return leader is not None

    def _victims(self, planned: Round, leader: str) -> tuple[str, ...]:
        if planned.victim == "all":
            return self._nodes.ids
        if planned.victim == "leader":
            return (leader,)
        followers = [node for node in self._nodes.ids if node != leader]
        return (followers[min(int(planned.pick * len(followers)), len(followers) - 1)],)

    def _recovered(self, killed: int) -> bool:
        return self._clients.write_accepted(killed) is not None and self._all_ready()

    def _all_ready(self) -> bool:
        said = [self._nodes.said(node) for node in self._nodes.ids]
        return all(what is not None and what.ready for what in said)

    def _no_recovery(self, number: int, problem: str) -> bool:
        self._note(Fault(time.monotonic_ns(), "no-recovery", number, detail=problem))
        self._say(f"round {number}: no recovery: {problem}")
        return False

    def _line(
        self,
        number: int,
        planned: Round,
        victims: tuple[str, ...],
        seconds: float | None,
        back: float,
    ) -> str:
        counts = self._clients.counts
        who = "all three" if planned.victim == "all" else f"{victims[0]} ({planned.victim})"
        numbers = ", ".join(f"{name} {counts[name]}" for name in history.OUTCOMES)
        return (
            f"round {number:>3}/{len(self._settings.rounds)}  killed {who:<13}"
            f"  next write after {seconds or 0:6.3f} s  all ready {back:5.2f} s after the start"
            f"  ops {sum(counts.values())} ({numbers})"
        )

    # The end.

    def _last_look(self) -> None:
        agent = Agent(FINAL, self._nodes.ports, self._writer, Random(0))
        if not wait_for_rest(self._nodes, REST):
            self._no_recovery(self._ended.rounds, "the nodes did not come to rest in the end")
            return
        for _ in range(3):
            if read_everything(agent):
                break
        agent.close()

    def _stop(self) -> None:
        hurry(self._nodes, self._clients)
        self._clients.stop()
        self._nodes.stop()
        self._writer.close()
        files = [self._own, *(file for file in self._clients.files if file.exists())]
        lines: list[Line] = [line for file in files for line in history.read_lines(file)]
        history.save(self._settings.history, lines, self._header)
        # All is stopped: what comes now may be interrupted as any program.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)

    # Small things.

    def _note(self, fault: Fault) -> None:
        self._writer.write(fault)

    def _time_is_over(self) -> bool:
        limit = self._settings.seconds
        now = time.monotonic()
        self._longest = max(self._longest, now - self._round_began)
        self._round_began = now
        return limit is not None and now - self._began + self._longest + END > limit

    def _wait(self, reached: Callable[[], bool], seconds: float) -> str | None:
        """Wait for something; None when it is reached, else why it is not."""
        until = time.monotonic() + seconds
        while (problem := self._ended_node()) is None:
            if reached():
                return None
            if time.monotonic() >= until:
                return f"not within {seconds:g} s"
            self._look()
        return problem

    def _rest(self, seconds: float) -> str | None:
        """Let time pass; None unless a node ends by itself meanwhile."""
        until = time.monotonic() + seconds
        while (problem := self._ended_node()) is None and time.monotonic() < until:
            self._look()
        return problem

    def _look(self) -> None:
        time.sleep(LOOK)
        self._clients.follow()

    def _ended_node(self) -> str | None:
        for node, code in self._nodes.ended().items():
            said = last_line(self._nodes.place(node).log)
            return f"{node} ended by itself ({describe_end(code)}): {said}"
        return None


def hurry(nodes: Nodes, clients: Clients) -> None:
    """From here on a signal does not interrupt the stopping, it makes it quick."""

    def kill_all(number: int, frame: FrameType | None) -> None:
        nodes.kill_now()
        clients.kill_now()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, kill_all)


def free_port() -> int:
    """A first port for the nodes such that all their ports are free.

    Below the ports that the system gives to outgoing connections (Linux: from 32768): one of those
    could take the port of a node that is down.
    """
    random = Random()
    for _ in range(200):
        port = random.randrange(10_500, 20_000)
        numbers = range(port, port + NODES)
        if all(is_free(number) and is_free(number + PEER_OFFSET) for number in numbers):
            return port
    raise Problem(f"no free ports were found on {HOST}; stop what uses them, or give --port")
