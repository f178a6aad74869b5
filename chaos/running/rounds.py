"""The faults of a run, one after the other: begin, end, recovery."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from chaos import history
from chaos.clients import Clients
from chaos.history import Fault as Note
from chaos.nemesis.fault import Fault, NotReached, Site
from chaos.nemesis.schedule import Step
from chaos.running.watch import Watch


@dataclass
class Going:
    """A fault that began. `due`: when it ends, in seconds of the monotonic clock."""

    number: int
    step: Step
    fault: Fault
    begun: int
    due: float
    ended: int | None = None
    stopping: bool = False


class Rounds:
    """Carries out steps; notes each in the history, and says each in a line.

    Args:
        kinds: name → fault.
        note: takes the history's lines.
    """

    def __init__(
        self,
        site: Site,
        watch: Watch,
        clients: Clients,
        kinds: Mapping[str, type[Fault]],
        note: Callable[[Note], None],
        say: Callable[[str], None],
    ) -> None:
        self._site = site
        self._watch = watch
        self._clients = clients
        self._kinds = kinds
        self._note = note
        self._say = say
        self._going: list[Going] = []
        self.last = ""
        watch.looks.append(self._end_what_is_due)

    def carry_out(self, number: int, steps: list[Step]) -> bool:
        """A step, with the one that overlaps it; whether the cluster recovered.

        Args:
            number: of the first of them.

        Raises CannotInject, OSError: what has begun is then for `give_up`.
        """
        try:
            for offset, step in enumerate(steps):
                self._begin(number + offset, step)
            while any(going.ended is None for going in self._going):
                self._watch.rest(0.005)
            self._recover()
        except NotReached as problem:
            latest = self._going[-1].number if self._going else number
            detail = str(problem)
            self._note(Note(time.monotonic_ns(), "no-recovery", latest, detail=detail))
            self._say(f"round {latest}: no recovery: {detail}")
            self.give_up()
            return False
        self._going.clear()
        return True

    def give_up(self) -> None:
        """Take back what began and did not end: the run ends in the midst of it.

        One whose taking back is interrupted is still there for the next call.
        """
        while self._going:
            going = self._going[-1]
            if going.ended is None:
                going.fault.give_up()
            self._going.pop()

    def _begin(self, number: int, step: Step) -> None:
        self._watch.rest(step.before)
        fault = self._kinds[step.fault](self._site, step.pick)
        self._clients.forget_writes()
        begun = time.monotonic_ns()
        going = Going(number, step, fault, begun, float("inf"))
        self._going.append(going)
        self.last = step.fault
        fault.start()
        going.begun = begun = fault.at or begun
        role = fault.role or fault.name
        self._note(Note(begun, fault.words[0], number, fault.nodes, role, detail=fault.detail))
        going.due = time.monotonic() + step.lasts

    def _end_what_is_due(self) -> None:
        for going in self._going:
            if not going.stopping and time.monotonic() >= going.due:
                going.stopping = True
                going.fault.stop()
                going.ended = time.monotonic_ns()
                fault = going.fault
                role = fault.role or fault.name
                self._note(Note(going.ended, fault.words[1], going.number, fault.nodes, role))

    def _recover(self) -> None:
        ended = max(going.ended or 0 for going in self._going)
        self._watch.wait(
            lambda: self._clients.write_accepted(ended) is not None, "no write was accepted"
        )
        self._watch.wait(self._site.members.ready, "not all nodes were ready")
        now = time.monotonic_ns()
        for going in self._going:
            fault = going.fault
            role = fault.role or fault.name
            seconds = self._clients.write_accepted(going.begun)
            self._note(Note(now, "recovered", going.number, fault.nodes, role, seconds))
            self._say(self._line(going, seconds, now))

    def _line(self, going: Going, seconds: float | None, now: int) -> str:
        counts = self._clients.counts
        fault, step = going.fault, going.step
        who = " ".join([fault.name, *fault.nodes, *([fault.detail] if fault.detail else [])])
        lasted = ((going.ended or now) - going.begun) / 1e9
        back = (now - (going.ended or now)) / 1e9
        numbers = ", ".join(f"{name} {counts[name]}" for name in history.OUTCOMES)
        mark = " +" if step.overlaps else "  "
        return (
            f"round {going.number:>3}{mark}{who:<30} for {lasted:5.2f} s"
            f"  next write after {seconds or 0:6.3f} s  recovered {back:5.2f} s after its end"
            f"  ops {sum(counts.values())} ({numbers})"
        )
