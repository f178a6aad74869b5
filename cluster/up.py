"""`up`: takes the folder, prepares it, runs the supervisor on this terminal or detached."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shlex
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from cluster.control import ControlServer
from cluster.environment import ROOT
from cluster.folder import DataFolder, cannot_use, held
from cluster.lock import in_use, is_held
from cluster.orders import Orders
from cluster.places import DEFAULT_PORT, LAST_PORT, Places, check_ports
from cluster.problem import Problem
from cluster.processes import Identity
from cluster.supervisor import Supervisor

PROGRAM = "RAFTCOORD_NODE_PROGRAM"


@dataclass(frozen=True)
class UpOptions:
    """nodes, port: None = as the folder has it, or 3 and 8080. report: a descriptor that takes the
    lines of a detached supervisor until it is ready."""

    places: Places
    nodes: int | None
    port: int | None
    restart: bool
    report: int | None = None


class Voice:
    """Says each event: in cluster.log, and on the terminal or to the one that detached us."""

    def __init__(self, places: Places, report: int | None) -> None:
        self._places = places
        self._report = report

    def say(self, line: str) -> None:
        stamped = f"{time.strftime('%H:%M:%S')}  {line}"
        with contextlib.suppress(OSError), open(self._places.log, "a", encoding="utf-8") as log:
            log.write(stamped + "\n")
        self.show("say", stamped)

    def show(self, kind: str, text: str) -> None:
        """On the screen only; a screen that went away takes nothing along with it."""
        with contextlib.suppress(OSError):
            if self._report is not None:
                os.write(self._report, json.dumps({kind: text}).encode() + b"\n")
            elif kind != "error":
                print(text, flush=True)

    def end_report(self) -> None:
        """From here on a detached supervisor speaks to its log alone."""
        if self._report is not None:
            os.close(self._report)
            self._report = None


def node_program() -> list[str]:
    """What runs a node; another program for tests."""
    return shlex.split(os.environ.get(PROGRAM, "")) or [sys.executable, "-m", "raftcoord"]


def up(options: UpOptions) -> int:
    """Run a cluster until it is asked to stop; raises Problem."""
    voice = Voice(options.places, options.report)
    try:
        with held(options.places, make=True) as folder:
            state = folder.settle(options.nodes, options.port)
            _end_orphans(options.places)
            nodes = options.places.nodes(len(state.stages), state.port)
            check_ports(nodes, _port_advice(folder, options))
            folder.prepare(state)
            asyncio.run(_supervise(folder, options.restart, voice))
    except Problem as problem:
        voice.show("error", str(problem))
        raise
    return 0


async def _supervise(folder: DataFolder, restart: bool, voice: Voice) -> None:
    def ready(supervisor: Supervisor) -> None:
        voice.show("ready", welcome(supervisor))
        voice.end_report()

    supervisor = Supervisor(
        folder, program=node_program(), restart=restart, say=voice.say, on_ready=ready
    )
    # Before the first line is seen: whoever sees it may already send a signal.
    supervisor.heed_signals()
    control = ControlServer(folder.places, Orders(supervisor).obey)
    await control.open()
    folder.introduce(str(control.path))
    shown = folder.places.shown()
    voice.say(f"starting {len(supervisor.members)} nodes; their data is in {shown}")
    try:
        await supervisor.run()
    finally:
        await control.close()


def _port_advice(folder: DataFolder, options: UpOptions) -> str:
    other = min((options.port or DEFAULT_PORT) + 1000, LAST_PORT)
    if folder.state is None:
        command = options.places.command(f"up --port {other}")
        return f"choose others with --port, for example `{command}`"
    return (
        "stop that program (the cluster here was made with these ports), or start another cluster"
        f" with `--data DIR --port {other}`"
    )


def _end_orphans(places: Places) -> None:
    """End nodes of a supervisor that was killed, where the system did not do it; only processes
    that are the very ones it wrote down."""
    try:
        written = json.loads(places.running.read_text(encoding="utf-8"))
        known = [Identity.from_json(entry) for entry in written.values()]
    except (OSError, ValueError, AttributeError):
        return
    orphans = [identity for identity in known if identity is not None]
    for identity in orphans:
        identity.send(signal.SIGKILL)
    deadline = time.monotonic() + 5
    while any(identity.is_alive() for identity in orphans) and time.monotonic() < deadline:
        time.sleep(0.02)


def welcome(supervisor: Supervisor) -> str:
    """What one can do now."""
    leader = supervisor.watch.leader
    nodes = [member.place for member in supervisor.members]
    ready = [member for member in supervisor.members if member.phase == "ready"]
    url = [member.place.url for member in (ready * 3)[:3]]
    lines = [f"\n{len(ready)} of {len(nodes)} nodes are ready."]
    for member in supervisor.members:
        note = "  leads" if leader and leader[0] == member.id else ""
        note = note if member.phase == "ready" else f"  {member.phase}: {member.reason}"
        lines.append(f"  {member.id}  {member.place.url}{note}")
    json_type = "-H 'Content-Type: application/json'"
    lines += [
        "\nTake a lock, look at it through another node, ask how the cluster is:",
        f'  curl -s {url[0]}/v1/locks/orders/acquire {json_type} -d \'{{"owner":"me","ttl":60}}\'',
        f"  curl -s {url[1]}/v1/locks/orders",
        f"  curl -s {url[2]}/v1/status\n",
    ]
    return "\n".join(lines)


def detach(options: UpOptions) -> int:
    """Run `up` in a process of its own and give the prompt back when the nodes are ready."""
    if is_held(options.places):
        raise Problem(in_use(options.places))
    try:
        options.places.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        options.places.log.touch(mode=0o600)
    except OSError as error:
        raise cannot_use(options.places, error) from error
    read, write = os.pipe()
    command = [sys.executable, "-m", "cluster", "up", *_arguments(options), f"--report={write}"]
    with options.places.log.open("ab") as log:
        child = subprocess.Popen(
            command,
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=log,
            start_new_session=True,
            pass_fds=[write],
        )
    try:
        os.close(write)
        return _follow(child, read, options.places.command("down"))
    except BaseException:
        # Interrupted before it was ready, or it failed: nothing is left behind.
        child.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(25)
        child.kill()
        raise


def _follow(child: subprocess.Popen[bytes], read: int, down: str) -> int:
    def show(text: str) -> None:
        # At once, also where a pipe takes it: that the nodes still start is news only now.
        print(text, flush=True)

    with os.fdopen(read, encoding="utf-8") as report:
        for line in report:
            message = json.loads(line)
            if "error" in message:
                raise Problem(message["error"])
            if "ready" in message:
                show(message["ready"])
                show(f"The cluster runs as process {child.pid}; `{down}` stops it.")
                return 0
            show(message["say"])
    child.wait()
    raise Problem("the supervisor ended before its nodes were ready; see cluster.log")


def _arguments(options: UpOptions) -> list[str]:
    arguments = ["--data", str(Path(options.places.folder).absolute())]
    if options.nodes is not None:
        arguments += ["--nodes", str(options.nodes)]
    if options.port is not None:
        arguments += ["--port", str(options.port)]
    if not options.restart:
        arguments.append("--no-restart")
    return arguments
