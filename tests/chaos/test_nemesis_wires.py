"""Network namespaces: packets are really lost, one way or both, and nothing is left behind."""

from __future__ import annotations

import select
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from chaos.nemesis import wires
from chaos.nemesis.fault import CannotInject
from chaos.nemesis.relay import Rule
from chaos.nemesis.wires import Wires
from cluster.environment import ROOT
from cluster.processes import birth

PORT = 9_000
ECHO = """
import socket, sys
listener = socket.create_server((sys.argv[1], 9000))
print("ready", flush=True)
while True:
    peer, _ = listener.accept()
    while data := peer.recv(4096):
        print(data.decode(), flush=True)
        peer.sendall(b"heard " + data)
"""
CALL = """
import socket, sys
peer = socket.create_connection((sys.argv[1], 9000), 10)
print("connected", flush=True)
for line in sys.stdin:
    peer.sendall(line.encode().strip())
    print(peer.recv(4096).decode(), flush=True)
"""


class Talk:
    """A process in one namespace that is called from another."""

    def __init__(self, made: Wires, source: str, target: str) -> None:
        self._programs: list[subprocess.Popen[str]] = []
        self._address = made.addresses[target]
        self.there = self._start([*made.inside(target), sys.executable, "-c", ECHO, self._address])
        assert self.line(self.there) == "ready"
        self.here = self._start([*made.inside(source), sys.executable, "-c", CALL, self._address])
        assert self.line(self.here) == "connected"

    def _start(self, command: list[str]) -> subprocess.Popen[str]:
        program = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )
        self._programs.append(program)
        return program

    def say(self, word: str) -> None:
        assert self.here.stdin is not None
        self.here.stdin.write(word + "\n")
        self.here.stdin.flush()

    def line(self, program: subprocess.Popen[str], seconds: float = 10.0) -> str:
        """The next line it prints; empty where it prints none in time."""
        assert program.stdout is not None
        if not select.select([program.stdout], [], [], seconds)[0]:
            return ""
        return program.stdout.readline().strip()

    def close(self) -> None:
        for program in self._programs:
            program.kill()
            program.communicate()


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Wires]:
    if (reason := wires.missing()) is not None:
        pytest.skip(reason)
    built = Wires(("n1", "n2"), tmp_path_factory.mktemp("wires") / "log")
    try:
        built.start()
    except CannotInject as error:
        built.stop()
        pytest.skip(str(error))
    yield built
    built.stop()


@pytest.fixture
def talk(made: Wires) -> Iterator[Talk]:
    opened = Talk(made, "n1", "n2")
    yield opened
    opened.close()
    made.calm("me")


def test_members_hear_each_other_and_the_runner_hears_them(made: Wires, talk: Talk) -> None:
    talk.say("hello")
    assert talk.line(talk.there) == "hello"
    assert talk.line(talk.here) == "heard hello"
    talk.here.kill()  # one caller at a time
    with socket.create_connection((made.addresses["n2"], PORT), 10) as outer:
        outer.sendall(b"from outside")
        assert outer.recv(100) == b"heard from outside"


@pytest.mark.parametrize(("source", "target"), [("n1", "n2"), ("n2", "n1")])
def test_one_way_is_cut_and_what_was_lost_is_sent_again(
    made: Wires, talk: Talk, source: str, target: str
) -> None:
    made.disturb("me", [Rule(source, target, hold=True)])
    talk.say("lost")
    heard = talk.line(talk.there, 0.4)
    assert heard == ("" if source == "n1" else "lost")
    assert talk.line(talk.here, 0.4) == ""
    made.calm("me")
    assert talk.line(talk.here) == "heard lost"


def test_a_call_that_is_cut_is_answered_by_nobody(made: Wires, talk: Talk) -> None:
    made.disturb("me", [Rule("n1", "n2", hold=True)])
    impatient = CALL.replace("10)", "0.4)")
    call = subprocess.run(
        [*made.inside("n1"), sys.executable, "-c", impatient, made.addresses["n2"]],
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    assert call.stdout == ""
    assert "TimeoutError" in call.stderr


def test_cuts_of_several_add_up(made: Wires, talk: Talk) -> None:
    made.disturb("me", [Rule("n1", "n2", hold=True)])
    made.disturb("you", [Rule("n1", "n2", hold=True)])
    made.calm("me")
    talk.say("held")
    assert talk.line(talk.there, 0.3) == ""
    made.calm("you")
    assert talk.line(talk.there) == "held"


def test_nothing_is_left_behind_however_the_runner_ends(tmp_path: Path, made: Wires) -> None:
    code = (
        "import sys; from pathlib import Path; from chaos.nemesis.wires import Wires\n"
        "w = Wires(('n1', 'n2'), Path(sys.argv[1])); w.start()\n"
        "print(w._outer, *(h.pid for h in w._holders.values()), flush=True)\n"
        "sys.stdin.read()\n"
    )
    runner = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path / "log")],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert runner.stdout is not None
    outer, *pids = runner.stdout.readline().split()
    link = Path("/sys/class/net") / outer
    assert link.exists()
    runner.kill()
    runner.communicate()
    deadline = time.monotonic() + 10
    while link.exists() or any(birth(int(pid)) is not None for pid in pids):
        assert time.monotonic() < deadline, f"{outer} or one of {pids} is left"
        time.sleep(0.02)
