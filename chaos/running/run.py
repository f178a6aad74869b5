"""A run: a cluster, client processes, and a nemesis that hurts; then the last look.

The steps: start the cluster, where it is the run's own; start the clients; fault by fault begin,
end, and wait until a write was accepted again and all nodes are ready; stop the clients; read
everything through every node; stop what was started. Every wait is bounded. Whatever was started
is stopped in the end, however the run ends; on Linux the nodes also die with the runner, and the
clients and the proxy end when it is gone.

The runner is one thread: its processes are forked from it.
"""

from __future__ import annotations

import contextlib
import signal
import time
from collections.abc import Iterator
from random import Random
from types import FrameType

from chaos import history
from chaos.checkers.counters import FRESH
from chaos.checkers.reads import FINAL
from chaos.clients import ClientDied, Clients
from chaos.final import read_everything, wait_for_rest
from chaos.history import FORMAT, Header, Line, Writer
from chaos.nemesis import schedule
from chaos.nemesis.fault import CannotInject, Fault, NotReached, Site
from chaos.nemesis.links import LinksFailed
from chaos.nemesis.schedule import Step
from chaos.report.live import Live
from chaos.running.foreign import Foreign
from chaos.running.ours import only_ours
from chaos.running.own import Own
from chaos.running.rounds import Rounds
from chaos.running.settings import CannotRun, Ended, Settings
from chaos.running.watch import Watch
from chaos.workloads.agent import Agent
from chaos.workloads.process import Plan

START = 60.0
"""Seconds for a new cluster to come up."""
REST = 45.0
"""Seconds to come to rest in the end; longer than the longest lease of the loads."""
HURRY = 1.0
"""Seconds that the clients have to end, and then the nodes, where the run is interrupted. A client
may wait ten times as long for a node that a fault keeps silent; what it asked counts as unknown."""
END = 8.0
"""Seconds that the last look, the stopping and the judges take, as a rule."""
PROBE_PAUSE = 0.02
SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Run:
    """One run; `live` shows its progress."""

    def __init__(self, settings: Settings, cluster: Own | Foreign, live: Live) -> None:
        self._settings = settings
        self._cluster = cluster
        self._live = live
        self._say = live.line
        self._rounds: Rounds | None = None
        self._header = Header(FORMAT, cluster.members.ids, self._words())
        self._clients = Clients(settings.folder)
        self._file = settings.folder / "nemesis.jsonl"
        self._writer = Writer(self._file, self._header)
        self._watch = Watch(self._clients, cluster.ended, settings.patience)
        self._watch.looks += [self._show, self._obey]
        scratch = settings.folder / "faults"
        scratch.mkdir(exist_ok=True)
        self._site = Site(
            scratch, cluster.members, self._clients, self._watch, cluster.nodes, cluster.links
        )
        self._prepared: list[type[Fault]] = []
        self._began = self._round_began = time.monotonic()
        self._longest = 0.0
        self._begun: list[Step] = []
        self._asked_to_end = False
        self.ended = Ended()

    def _words(self) -> dict[str, object]:
        settings = self._settings
        return {
            FRESH: self._cluster.fresh,
            "seed": settings.seed,
            "faults": list(settings.kinds),
            "clients": settings.clients,
            "workloads": list(settings.workloads),
            "rate": settings.rate,
        }

    def go(self) -> Ended:
        """Run it to its end and save the history; raises CannotRun."""
        try:
            self._listen()
            self._start()
            self.ended.loaded = True
            self._hurt()
            self._clients.stop()
            if not self.ended.broken:
                self._last_look()
        except KeyboardInterrupt:
            self._hurry()
            self.ended.interrupted = True
            self._say("interrupted; stopping what was started")
        except (ClientDied, CannotInject, LinksFailed) as error:
            raise CannotRun(str(error)) from error
        finally:
            self._stop()
        return self.ended

    def _listen(self) -> None:
        """Let Ctrl-C and SIGTERM interrupt the run, and lose none.

        What a handler raises is lost where it falls into a hook that Python calls around a fork,
        and a run forks often; so it is remembered, and raised again at the next look.
        """

        def interrupt(number: int, frame: FrameType | None) -> None:
            self._asked_to_end = True
            raise KeyboardInterrupt

        for number in SIGNALS:
            signal.signal(number, interrupt)

    def _obey(self) -> None:
        if self._asked_to_end:
            raise KeyboardInterrupt

    def _start(self) -> None:
        self._say(f"starting {self._cluster.shown}" if self._cluster.fresh else self._cluster.shown)
        for kind in self._settings.kinds.values():
            self._prepared.append(kind)
            kind.prepare(self._site)
        self._cluster.start()
        try:
            self._watch.wait(self._cluster.members.ready, "not all nodes were ready", START)
            self._start_clients()
            since = time.monotonic_ns()
            self._watch.wait(
                lambda: self._clients.write_accepted(since) is not None,
                "no write was accepted",
                START,
            )
        except NotReached as problem:
            raise CannotRun(f"the cluster did not come up: {problem}") from problem

    def _start_clients(self) -> None:
        settings = self._settings
        pause = settings.clients * len(settings.workloads) / settings.rate
        for number in range(1, settings.clients + 1):
            self._clients.start(self._plan(f"c{number}", settings.workloads, pause))
        self._clients.start(self._plan("probe", ("probe",), PROBE_PAUSE), spared=True)

    def _plan(self, name: str, workloads: tuple[str, ...], pause: float) -> Plan:
        file = self._settings.folder / f"{name}.jsonl"
        ports = self._cluster.ports
        settings = self._settings
        return Plan(name, settings.seed, ports, workloads, pause, str(file), settings.realm)

    # The faults.

    def _hurt(self) -> None:
        rounds = self._rounds = Rounds(
            self._site,
            self._watch,
            self._clients,
            self._settings.kinds,
            self._writer.write,
            self._say,
        )
        self._round_began = time.monotonic()
        done = self.ended.steps
        for steps in _groups(iter(self._settings.steps)):
            if self._is_enough():
                return
            self._begun += steps
            if not rounds.carry_out(len(done) + 1, steps):
                self.ended.broken = True
                return
            done += steps

    def _is_enough(self) -> bool:
        """Whether the time is over."""
        settings, done = self._settings, len(self.ended.steps)
        now = time.monotonic()
        self._longest = max(self._longest, now - self._round_began)
        self._round_began = now
        spent = now - self._began
        if settings.seconds is not None and spent + self._longest + END > settings.seconds:
            return True
        over = settings.minutes is not None and spent >= settings.minutes * 60
        return over and done >= settings.turn

    def _show(self) -> None:
        counts = self._clients.counts
        self._live.status(
            faults=len(self.ended.steps),
            now=self._rounds.last if self._rounds is not None else "",
            **{name.replace("-", "_"): counts[name] for name in history.OUTCOMES},
        )

    # The end.

    def _last_look(self) -> None:
        members = self._cluster.members
        if not wait_for_rest(members, REST):
            detail = "the nodes did not come to rest in the end"
            if not self._cluster.fresh:
                self._say(f"{detail}: somebody else writes, and the last look is left out")
                return
            number = len(self.ended.steps)
            self._writer.write(
                history.Fault(time.monotonic_ns(), "no-recovery", number, detail=detail)
            )
            self._say(f"no recovery: {detail}")
            self.ended.broken = True
            return
        agent = Agent(FINAL, self._cluster.ports, self._writer, Random(0))
        agent.realm = self._settings.realm
        for _ in range(3):
            if read_everything(agent):
                break
        agent.close()

    def _stop(self) -> None:
        self._hurry()
        self._live.close()
        patience = {"patience": HURRY} if self.ended.interrupted else {}
        with contextlib.ExitStack() as steps:  # each is done, whatever the others meet
            steps.callback(self._save)
            for kind in self._prepared:
                steps.callback(kind.clear, self._site)
            steps.callback(self._cluster.stop, **patience)
            steps.callback(self._clients.stop, **patience)
            if self._rounds is not None:
                steps.callback(self._rounds.give_up)
        # All is stopped: what comes now may be interrupted as any program.
        for number in SIGNALS:
            signal.signal(number, signal.default_int_handler)

    def _save(self) -> None:
        self._writer.close()
        self._clients.lines_whole()
        files = [self._file, *(file for file in self._clients.files if file.exists())]
        lines: list[Line] = []
        for file in files:
            lines += history.read_lines(file) if file.stat().st_size else []
        if not self._cluster.fresh:
            lines = list(only_ours(lines, self._settings.realm))
        history.save(self._settings.history, lines, self._header)
        schedule.write(self._settings.folder / "schedule.jsonl", self._begun)

    def _hurry(self) -> None:
        """From here on a signal does not interrupt the stopping, it makes it quick."""

        def kill_all(number: int, frame: FrameType | None) -> None:
            self._cluster.kill_now()
            self._clients.kill_now()

        for number in SIGNALS:
            signal.signal(number, kill_all)


def _groups(steps: Iterator[Step]) -> Iterator[list[Step]]:
    """Each step with the one that overlaps it; looks one step ahead."""
    group: list[Step] = []
    for step in steps:
        if group and not step.overlaps:
            yield group
            group = []
        group.append(step)
    if group:
        yield group
