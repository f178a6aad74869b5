"""The report as text: the table of windows."""

from __future__ import annotations

from chaos import checkers
from chaos.report import report
from tests.chaos.report_world import fault, operation, story


def test_the_text_says_for_each_kind_of_fault_how_long_nothing_was_accepted() -> None:
    faults = (
        fault(1.0, "begin", "pause-leader", "n1"),
        fault(2.0, "end", "pause-leader", "n1"),
        fault(9.0, "begin", "pause-leader", "n2", number=2),
        fault(9.5, "end", "pause-leader", "n2", number=2),
        fault(20.0, "begin", "halves"),
        fault(21.0, "end", "halves"),
    )
    ops = [operation(1.1, 1.3, number=1), operation(5.0, 5.1, number=2), operation(9.0, 9.5)]
    history = story(*ops, faults=faults)
    lines = list(report(history, checkers.judge(history)))
    shown = [line.split() for line in lines if line.startswith(("pause-leader", "halves"))]
    assert [row[:4] for row in shown] == [
        ["halves", "1", "-", "-"],
        ["pause-leader", "2", "0.400", "0.500"],
    ]
    assert [row[-1] for row in shown] == ["1", "-"]
