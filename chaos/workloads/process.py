"""`python -m chaos.workloads.process`: one client process, a thread for each of its agents.

Its first line of stdin is a `Plan` as JSON. It works until stdin ends, and then finishes what its
agents have begun. When whoever started it is gone, stdin ends too, and nobody waits for anything:
the nodes are gone, and their addresses may be somebody else's.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading
import traceback
from pathlib import Path
from random import Random

import msgspec
from msgspec import Struct

from chaos.history import FORMAT, Header, Writer
from chaos.workloads import Probe, Workload, workload
from chaos.workloads.agent import Agent, drive
from cluster.processes import LINUX, PR_SET_PDEATHSIG

BROKEN = 70


class Plan(Struct, frozen=True, forbid_unknown_fields=True):
    """What a client process does.

    Args:
        client: its name.
        seed: of the run; each agent's own follows from it and the agent's name.
        ports: node → port on this machine, or "host:port".
        workloads: names, one agent each; "probe" gives one agent for each node.
        pause: seconds from one operation of an agent to its next, at least.
        history: the file it writes.
        realm: see `Caller`.
    """

    client: str
    seed: int
    ports: dict[str, int | str]
    workloads: tuple[str, ...]
    pause: float
    history: str
    realm: str = ""


def main() -> int:
    """Work until stdin ends; 0 when every agent came to its end."""
    starter = os.getppid()
    _wake_when_alone()
    plan = msgspec.json.decode(sys.stdin.readline(), type=Plan)
    writer = Writer(Path(plan.history), Header(FORMAT, tuple(plan.ports)))
    agents = [each for name in plan.workloads for each in _agents(name, plan, writer)]
    threading.excepthook = _broken
    threads = [threading.Thread(target=_work, args=each, daemon=True) for each in agents]
    for thread in threads:
        thread.start()
    sys.stdin.read()
    if os.getppid() != starter:
        return 0
    for agent, _ in agents:
        agent.stopping.set()
    for thread in threads:
        thread.join()
    writer.close()
    return 0


def _wake_when_alone() -> None:
    """Whom a fault has stopped when the runner is killed, nobody else would ever wake: it would
    never hear that its stdin has ended. Linux only."""
    if LINUX:
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGCONT, 0, 0, 0)


def _agents(name: str, plan: Plan, writer: Writer) -> list[tuple[Agent, Workload]]:
    """The agents of a workload, each with its load."""

    def agent(label: str, ports: dict[str, int | str]) -> Agent:
        full = f"{plan.client}.{label}"
        made = Agent(full, ports, writer, Random(f"{plan.seed}/{full}"), plan.pause)
        made.realm = plan.realm
        return made

    if name == Probe.name:
        alone = [agent(f"probe-{node}", {node: port}) for node, port in plan.ports.items()]
        return [(each, Probe(each)) for each in alone]
    kind = workload(name)
    one = agent(kind.name, plan.ports)
    return [(one, kind(one))]


def _work(agent: Agent, load: Workload) -> None:
    while not agent.stopping.is_set():
        drive(load.step())
    agent.close()


def _broken(failed: threading.ExceptHookArgs) -> None:
    """A load with a bug must not go on as a load that does less."""
    traceback.print_exception(failed.exc_type, failed.exc_value, failed.exc_traceback)
    sys.stderr.flush()
    os._exit(BROKEN)


if __name__ == "__main__":
    sys.exit(main())
