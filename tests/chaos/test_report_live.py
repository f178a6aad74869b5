"""Progress on a terminal and elsewhere."""

from __future__ import annotations

import io

from chaos.report.live import PLAIN, REWRITE, Live


class Clock:
    """Seconds that pass when told to."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Terminal(io.StringIO):
    """Says that it is one."""

    def isatty(self) -> bool:
        return True


def screen(text: str) -> list[str]:
    """What stands on a terminal in the end."""
    return [line.rpartition("\r\x1b[K")[2] for line in text.split("\n")]


def test_on_a_terminal_one_line_is_rewritten_below_those_that_stay() -> None:
    out, clock = Terminal(), Clock()
    live = Live(out, 60.0, clock)
    live.status(accepted=1)
    clock.now += 15
    live.status(accepted=1234, rate=41.26, fault="pause n1", unknown=None)
    live.line("kill n2")
    assert screen(out.getvalue()) == [
        "kill n2",
        "0:15 of 1:00, 0:45 left  accepted 1,234  rate 41.3  fault pause n1",
    ]
    live.close()
    live.close()
    assert screen(out.getvalue()) == ["kill n2", ""]


def test_the_line_is_not_rewritten_all_the_time_and_never_wraps() -> None:
    out, clock = Terminal(), Clock()
    live = Live(out, None, clock)
    live.status(fault="x" * 300)
    written = out.getvalue()
    assert 70 < len(screen(written)[0]) < 80
    live.status(fault="other")
    assert out.getvalue() == written
    clock.now += REWRITE * 1.1
    live.status(fault="other")
    assert screen(out.getvalue()) == ["0:00  fault other"]


def test_elsewhere_a_plain_line_comes_now_and_then() -> None:
    out, clock = io.StringIO(), Clock()
    live = Live(out, 120.0, clock)
    for second in range(int(PLAIN * 2) + 1):
        live.status(accepted=second)
        clock.now += 1
    live.line("done")
    live.close()
    assert out.getvalue().splitlines() == [
        "0:15 of 2:00, 1:45 left  accepted 15",
        "0:30 of 2:00, 1:30 left  accepted 30",
        "done",
    ]
