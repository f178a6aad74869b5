"""What ends a run: something happened that must never happen."""


class Violation(Exception):
    """A rule was broken.

    Args:
        judge: who found it; one of `JUDGES`, or a judge of `chaos.checkers`.
        text: one sentence: what should be, and what was.
    """

    def __init__(self, judge: str, text: str) -> None:
        super().__init__(f"{judge}: {text}")
        self.judge = judge
        self.text = text


JUDGES = (
    "election safety",
    "leader append-only",
    "log matching",
    "state machine safety",
    "durability",
    "reads",
    "one holder",
    "tokens",
    "leases",
    "decisions",
    "applied once",
    "answers",
    "bounds",
    "liveness",
    "crash",
)
"""The judges inside a simulated world; `crash`: a node raised, or ended itself without a cause."""
