"""What is asked of a run and cannot be: refused before anything is made or started."""

from __future__ import annotations

from pathlib import Path

import pytest

from chaos import main
from tests.chaos.fake_runs import SHORT, scheduled


def refused(folder: Path, capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str]:
    """The exit code and stderr of a run that is refused before it begins."""
    code = main.main(["run", "--data", str(folder / "cluster"), *SHORT, *words])
    said = capsys.readouterr()
    assert said.out == ""
    return code, said.err


def test_a_folder_with_something_in_it_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "cluster"
    folder.mkdir()
    (folder / "state.json").write_text("{}")
    code, said = refused(tmp_path, capsys, "--rounds", "1")
    assert code == main.USAGE
    assert f"{folder} is not empty" in said
    assert [entry.name for entry in folder.iterdir()] == ["state.json"]


def test_a_schedule_that_cannot_be_read_is_refused_with_its_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "schedule"
    step = '{"fault": "kill-leader", "before": 1, "lasts": 1}'
    file.write_text(f"{step}\n{step.replace('leader', 'everybody')}\n")
    code, said = refused(tmp_path, capsys, "--schedule", str(file))
    assert code == main.UNREADABLE
    assert f"{file}, line 2: " in said
    assert "kill-everybody" in said


@pytest.mark.parametrize("word", ["--kinds", "--rounds", "--minutes"])
def test_a_schedule_says_all_that_is_done(
    tmp_path: Path, word: str, capsys: pytest.CaptureFixture[str]
) -> None:
    value = "kill-all" if word == "--kinds" else "1"
    code, said = refused(tmp_path, capsys, *scheduled(tmp_path), word, value)
    assert code == main.USAGE
    assert f"{word} and --schedule exclude each other" in said


@pytest.mark.parametrize("word", ["--report", "--history"])
def test_what_cannot_be_written_is_refused_before_the_run(
    tmp_path: Path, word: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code, said = refused(tmp_path, capsys, word, str(tmp_path / "no" / "file"))
    assert code == main.USAGE
    assert f"{tmp_path / 'no' / 'file'} cannot be written" in said
    assert not (tmp_path / "cluster").exists(), "what is refused makes nothing"


def test_an_unknown_workload_or_kind_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, said = refused(tmp_path, capsys, "--workloads", "looks")
    assert code == main.USAGE
    assert "there is no workload looks" in said
    code, said = refused(tmp_path, capsys, "--kinds", "kill-bill")
    assert code == main.USAGE
    assert "there is no fault kill-bill" in said
    assert not (tmp_path / "cluster").exists(), "what is refused makes nothing"


@pytest.mark.parametrize(
    "words",
    [
        ("--rounds", "0"),
        ("--rounds", "many"),
        ("--minutes", "nan"),
        ("--minutes", "soon"),
        ("--rate", "-1"),
        ("--seconds-max", "-1"),
        ("--port", "65535"),
        ("--port", "0"),
    ],
)
def test_numbers_that_mean_nothing_are_refused(
    words: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main.main(["run", *words])
    assert ended.value.code == main.USAGE
    said = capsys.readouterr().err
    assert words[0] in said
    assert words[1] in said.splitlines()[-1]
    assert "convert" not in said
