"""Whole runs against a make-believe cluster: three processes, kills, the report, the clean-up."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from bench import runner
from bench.etcd_nodes import Etcd
from bench.main import main
from bench.nodes import Node
from bench.plan import make_plan
from bench.processes import BenchError, Child, wait_for
from bench.raftcoord_nodes import Raftcoord
from bench.runner import data_folder
from bench.surroundings import in_memory

ROOT = Path(__file__).resolve().parent.parent.parent


class MakeBelieve(Raftcoord):
    """Answers like raftcoord, as far as the bench asks."""

    module = "tests.bench.stub"

    def _prepare(self, ports: Sequence[int]) -> list[Node]:
        mine = list(ports[::2])
        everybody = ",".join(str(port) for port in mine)
        return [
            Node(
                Child(
                    f"n{port}",
                    [sys.executable, "-m", self.module, str(port), everybody],
                    self._folder / f"{port}.log",
                    ROOT,
                ),
                port,
            )
            for port in mine
        ]

    def _after_first_start(self) -> None:
        (self._folder.parent.parent / "pids").write_text(
            " ".join(str(node.child.pid) for node in self.nodes), encoding="ascii"
        )


@pytest.fixture(autouse=True)
def _any_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where temporary files are kept in memory these tests run all the same."""
    monkeypatch.setattr(runner, "in_memory", lambda kind: kind == "refused")


@pytest.fixture
def make_believe(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(runner.KINDS, "raftcoord", MakeBelieve)


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


@pytest.mark.usefixtures("make_believe")
def test_a_run_measures_kills_reports_and_leaves_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report = tmp_path / "report.json"
    length = ["--seconds", "0.1", "--repeat", "2", "--kills", "2"]
    code = main(
        ["--only", "raftcoord", *length, "--json", str(report), "--data", str(tmp_path / "data")]
    )
    shown = capsys.readouterr().out
    assert code == 0, shown
    found = json.loads(report.read_text(encoding="utf-8"))
    assert sorted(found) == [
        "busy_before", "errors", "failover", "format", "http", "idle_processor", "plan", "ratios",
        "skipped", "started", "surroundings", "sync_floor_ms", "versions",
    ]  # fmt: skip
    cells = [(cell["where"], cell["connections"], len(cell["runs"])) for cell in found["http"]]
    assert cells == [(where, n, 2) for where in ("leader", "follower") for n in (1, 16, 64)]
    assert all(cell["cycles_per_second"] > 0 < cell["p50_ms"] <= cell["p99_ms"]
               for cell in found["http"])  # fmt: skip
    assert all(run["cycles"] > 0 and run["errors"] == {}
               for cell in found["http"] for run in cell["runs"])  # fmt: skip
    kills = found["failover"]["raftcoord"]
    assert len(kills["seconds"]) == 2
    assert 0 < kills["median_s"] <= kills["max_s"] < 10
    assert kills["refused"] == {"status 503": kills["refused"]["status 503"]}
    assert found["sync_floor_ms"]["in_place"] > 0
    assert found["surroundings"]["cores"] > 0
    for word in ("machine ", "disk ", "sharing ", "follower ", "raftcoord", "median", "goal "):
        assert word in shown
    assert list((tmp_path / "data").glob("run-*")) == []
    pids = (tmp_path / "data" / "pids").read_text(encoding="ascii").split()
    assert not any(alive(int(pid)) for pid in pids)


def test_without_etcd_it_names_the_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "apt install etcd-server" in (Etcd.missing() or "")
    code = main(["--only", "etcd", "--quick", "--data", str(tmp_path / "data")])
    shown = capsys.readouterr().out
    assert code == 1  # nothing was measured
    assert "skipped    etcd is not installed" in shown
    assert "apt install etcd-server" in shown


class Ends(MakeBelieve):
    module = "no.such.module"


def test_a_node_that_ends_by_itself_stops_the_run_with_its_last_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(runner.KINDS, "raftcoord", Ends)
    code = main(["--only", "raftcoord", "--quick", "--data", str(tmp_path / "data")])
    said = capsys.readouterr().err
    assert code == 1
    assert "ended by itself" in said
    assert "No module named" in said


INTERRUPTED = """
import sys
from bench import runner
from bench.main import main
from tests.bench.test_run import MakeBelieve
runner.KINDS["raftcoord"] = MakeBelieve
runner.in_memory = lambda kind: False
sys.exit(main(["--only", "raftcoord", "--only", "http", "--seconds", "60", "--data", sys.argv[1]]))
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_nothing_outlives_an_interrupted_run(tmp_path: Path, number: signal.Signals) -> None:
    data = tmp_path / "data"
    bench = subprocess.Popen(
        [sys.executable, "-c", INTERRUPTED, str(data)], cwd=ROOT, stderr=subprocess.PIPE, text=True
    )
    try:
        assert bench.stderr is not None
        for line in bench.stderr:
            if "connections on the leader" in line:
                break
        pids = [int(pid) for pid in (data / "pids").read_text(encoding="ascii").split()]
        assert all(alive(pid) for pid in pids)
        bench.send_signal(number)
        code = bench.wait(20)
    finally:
        bench.kill()
        bench.wait()
    expected = -signal.SIGKILL if number == signal.SIGKILL else 130
    assert code == expected
    deadline = time.monotonic() + 5
    while any(alive(pid) for pid in pids) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not any(alive(pid) for pid in pids)
    if number == signal.SIGKILL:
        # What it left is removed by the next run.
        assert list(data.glob("run-*")) != []
        with data_folder(data):
            assert len(list(data.glob("run-*"))) == 1
    assert list(data.glob("run-*")) == []


def test_the_data_of_a_run_that_goes_on_is_left_alone(tmp_path: Path) -> None:
    with data_folder(tmp_path) as one:
        with data_folder(tmp_path) as other:
            assert one.exists()
            assert one != other
        assert one.exists()
    assert (tmp_path / ".gitignore").read_text(encoding="ascii") == "*\n"


def test_data_in_memory_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "file_system", lambda folder: "refused")
    assert in_memory("tmpfs")
    with pytest.raises(BenchError, match="held in memory"):
        with data_folder(tmp_path):
            pytest.fail("it was accepted")


def test_a_child_is_only_ever_the_one_that_was_started(tmp_path: Path) -> None:
    child = Child("sleeper", ["sleep", "60"], tmp_path / "log", tmp_path)
    child.stop()  # never started: nothing to signal
    child.start()
    first = child.pid
    with pytest.raises(BenchError, match="already runs"):
        child.start()
    child.kill()
    child.wait()
    assert not child.alive
    child.start()
    assert child.pid != first
    child.stop()
    assert child.pid is None
    with pytest.raises(BenchError, match="cannot start nobody"):
        Child("nobody", ["/no/such/program"], tmp_path / "log", tmp_path).start()


def test_a_child_is_asked_before_it_is_killed(tmp_path: Path) -> None:
    script = 'trap "echo bye; exit 0" TERM; echo up; while :; do sleep 0.05; done'
    child = Child("polite", ["sh", "-c", script], tmp_path / "log", tmp_path)
    child.start()
    wait_for("the shell's start", lambda: child.last_words() == "up", 10)
    child.stop()
    assert child.last_words() == "up\nbye"
    assert child.cpu_seconds() == 0


def test_the_plan_takes_what_was_asked_for() -> None:
    everything = make_plan()
    assert (everything.systems, everything.parts) == (("raftcoord", "etcd"), ("http", "failover"))
    assert everything.kills == 20
    assert make_plan(["etcd"]).parts == ("http", "failover")
    assert make_plan(["failover"]).systems == ("raftcoord", "etcd")
    assert make_plan(["failover", "etcd"]).systems == ("etcd",)
    short = make_plan(quick=True)
    measurements = len(short.cells) * short.repeat * len(short.systems)
    assert measurements * (short.seconds + short.warmup) < 25
    assert make_plan(quick=True, seconds=2, repeat=7).repeat == 7


@pytest.mark.slow
def test_our_own_nodes_are_measured(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    short = ["--seconds", "0.3", "--repeat", "1", "--kills", "2"]
    report = tmp_path / "report.json"
    data = ["--data", str(tmp_path / "data"), "--json", str(report)]
    assert main(["--only", "raftcoord", *short, *data]) == 0, capsys.readouterr().out
    found = json.loads(report.read_text(encoding="utf-8"))
    assert found["errors"] == {}
    assert all(cell["cycles_per_second"] > 10 for cell in found["http"])
    assert len(found["failover"]["raftcoord"]["seconds"]) == 2


@pytest.mark.slow
@pytest.mark.skipif(Etcd.missing() is not None, reason="needs etcd: apt install etcd-server")
def test_a_real_etcd_is_measured(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    short = ["--seconds", "0.3", "--repeat", "1", "--kills", "1"]
    report = tmp_path / "report.json"
    data = ["--data", str(tmp_path / "data"), "--json", str(report)]
    assert main(["--only", "etcd", *short, *data]) == 0, capsys.readouterr().out
    found = json.loads(report.read_text(encoding="utf-8"))
    assert all(cell["cycles_per_second"] > 10 for cell in found["http"])
    assert found["failover"]["etcd"]["median_s"] > 0.01
    assert os.listdir(tmp_path / "data") == [".gitignore"]
