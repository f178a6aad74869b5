"""The bootstrap, on a project of its own whose only package is a wheel made here: no network."""

from __future__ import annotations

import ast
import os
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from cluster import bootstrap, environment, installation

PYTHON = getattr(sys, "_base_executable", None) or sys.executable
SOURCES = Path(environment.__file__).parent
PROBE = """
import sys
from cluster import bootstrap
if __name__ == "__main__":
    bootstrap.enter("runtime")
    import tinypin
    print(tinypin.VERSION, sys.prefix, *sys.argv[1:])
"""


class Project:
    """A copy of the bootstrap in a folder, with a wheel for pip to find and no index."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.venv = folder / ".venv"
        wheels = folder / "wheels"
        wheels.mkdir(parents=True)
        shutil.copytree(SOURCES, folder / "cluster", ignore=shutil.ignore_patterns("__pycache__"))
        (folder / "probe.py").write_text(PROBE)
        make_wheel(wheels, "1.0")
        make_wheel(wheels, "2.0")
        self.pin("tinypin==1.0")
        self.environment = {
            **{key: value for key, value in os.environ.items() if not key.startswith("PIP_")},
            "PIP_CONFIG_FILE": os.devnull,
            "PIP_NO_INDEX": "1",
            "PIP_FIND_LINKS": str(wheels),
        }

    def pin(self, *pins: str) -> None:
        text = "\n".join(["[runtime]", *pins, "[tests]", ""])
        (self.folder / "cluster" / "pins.txt").write_text(text)

    def start(self, *arguments: str, **changed: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [PYTHON, "-m", "probe", *arguments],
            cwd=self.folder,
            env=self.environment | changed,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def run(self, *arguments: str, **changed: str) -> tuple[int, str, str]:
        process = self.start(*arguments, **changed)
        out, err = process.communicate(timeout=60)
        return process.returncode, out, err


def make_wheel(folder: Path, version: str) -> None:
    info = f"tinypin-{version}.dist-info"
    metadata = f"Metadata-Version: 2.1\nName: tinypin\nVersion: {version}\n"
    kind = "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    with zipfile.ZipFile(folder / f"tinypin-{version}-py3-none-any.whl", "w") as wheel:
        wheel.writestr("tinypin.py", f"VERSION = {version!r}\n")
        wheel.writestr(f"{info}/METADATA", metadata)
        wheel.writestr(f"{info}/WHEEL", kind)
        wheel.writestr(f"{info}/RECORD", "")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """One project for all of them: each test finds what those before it left."""
    return Project(tmp_path_factory.mktemp("project"))


def wait_for(condition: Callable[[], bool], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.005)


def test_an_interrupted_first_run_is_begun_anew_and_two_at_once_agree(project: Project) -> None:
    killed = project.start()
    wait_for((project.venv / installation.PARTIAL).exists)
    wait_for((project.venv / "pyvenv.cfg").exists)
    os.killpg(killed.pid, signal.SIGKILL)
    killed.communicate()
    left_over = project.venv / "left-over"
    left_over.touch()

    both = [project.start("first"), project.start("second")]
    ends = [process.communicate(timeout=60) for process in both]

    assert [process.returncode for process in both] == [0, 0], ends
    assert ends[0][0].split() == ["1.0", str(project.venv), "first"]
    assert ends[1][0].split() == ["1.0", str(project.venv), "second"]
    assert not left_over.exists(), "what the killed run left was taken for whole"
    assert not (project.venv / installation.PARTIAL).exists()
    said = ends[0][1] + ends[1][1]
    assert said.count("[ 1/1] tinypin 1.0") == 1, "installed once"
    assert said.count("waiting for it") == 1


def test_from_then_on_its_share_is_under_a_fifth_of_a_second(project: Project) -> None:
    code, _, err = project.run()
    assert (code, err) == (0, ""), "silent when there is nothing to do"

    def seconds(command: list[str]) -> float:
        begun = time.perf_counter()
        subprocess.run(
            command,
            cwd=project.folder,
            env=project.environment,
            check=True,
            capture_output=True,
        )
        return time.perf_counter() - begun

    # The fastest of several counts: the others say how busy the machine is.
    whole, bare = [], []
    for _ in range(20):
        whole.append(seconds([PYTHON, "-m", "probe"]))
        bare.append(seconds([str(project.venv / "bin" / "python"), "-c", "import tinypin"]))
        if min(whole) - min(bare) < 0.2:
            return
    raise AssertionError(f"{min(whole):.2f} s, and {min(bare):.2f} s without it")


def test_changed_pins_are_installed_and_an_interrupted_change_is_repaired(project: Project) -> None:
    project.pin("tinypin==2.0")
    (project.venv / installation.PARTIAL).write_text("update")
    site = next(project.venv.glob("lib/python*/site-packages"))
    (site / "tinypin.py").write_text("half of a fi")
    (project.venv / "of-the-user").touch()

    code, out, err = project.run()
    assert code == 0, err
    assert out.split()[0] == "2.0"
    assert (project.venv / "of-the-user").exists(), "an update keeps what else is there"


def test_the_environment_knows_the_project_from_any_folder(project: Project) -> None:
    package = project.folder / "raftcoord"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "__main__.py").write_text("import sys\nprint('raftcoord', *sys.argv[1:])\n")
    elsewhere = project.folder.with_name("far away")
    elsewhere.mkdir()
    commands = (
        [project.venv / "bin" / "python", "-m", "raftcoord", "serve", "--dev"],
        [project.venv / "bin" / "raftcoord", "serve", "--dev"],
    )
    # Also an environment that was made whole before, or in a folder that had another name.
    site = next(project.venv.glob("lib/python*/site-packages"))
    (site / "raftcoord-project.pth").write_text("/nowhere\n")
    (project.venv / "bin" / "raftcoord").unlink()
    assert project.run()[0] == 0
    for command in commands:
        done = subprocess.run(command, cwd=elsewhere, capture_output=True, text=True)
        assert done.stdout == "raftcoord serve --dev\n", done.stderr


def test_a_package_that_was_removed_is_installed_again(project: Project) -> None:
    site = next(project.venv.glob("lib/python*/site-packages"))
    (site / "tinypin.py").unlink()
    code, out, err = project.run("again")
    assert code == 0, err
    assert out.split() == ["2.0", str(project.venv), "again"]
    assert project.run()[2] == "", "and only once"

    (site / "tinypin.py").unlink()
    shutil.rmtree(site / "tinypin-2.0.dist-info")
    code, out, err = project.run()
    assert (code, out.split()[0]) == (0, "2.0"), err


def test_no_network_is_one_sentence_and_the_next_start_tries_again(project: Project) -> None:
    project.pin("tinypin==2.0", "elsewhere==1.0")
    code, out, err = project.run(PIP_NO_INDEX="0", PIP_INDEX_URL="http://127.0.0.1:1/simple")
    assert (code, out) == (1, "")
    assert "the package index cannot be reached" in err.splitlines()[-1]
    assert "Traceback" not in err

    code, _, err = project.run()
    assert code == 1
    assert "elsewhere==1.0" in err.splitlines()[-1], "a missing package is named"
    project.pin("tinypin==2.0")
    assert project.run()[0] == 0


def test_an_interpreter_that_has_the_packages_needs_no_environment(project: Project) -> None:
    other = project.folder.with_name("elsewhere")
    shutil.copytree(project.folder / "cluster", other / "cluster")
    shutil.copy(project.folder / "probe.py", other)
    done = subprocess.run(
        [project.venv / "bin" / "python", "-m", "probe"], cwd=other, capture_output=True, text=True
    )
    assert done.stdout.split() == ["2.0", str(project.venv)]
    assert not (other / ".venv").exists()


def test_an_old_python_is_told_so_in_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("bootstrap.py", "__main__.py", "__init__.py"):
        ast.parse((SOURCES / name).read_text(), feature_version=(3, 6))
    monkeypatch.setattr(sys, "version_info", (3, 9, 2, "final", 0))
    with pytest.raises(SystemExit, match=r"needs Python 3\.11 or newer and \S+ is 3\.9; \S+"):
        bootstrap.enter("runtime")


def test_where_venv_is_missing_the_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(installation, "_can_make", lambda: False)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(shutil, "which", lambda name: f"/usr/bin/{name}")
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    with pytest.raises(environment.Unusable, match=rf"apt install python{version}-venv"):
        installation._install_venv_support()
