"""The command line of chaos: `run`, `simulate`, `mutate`, `judge`."""

from __future__ import annotations

import argparse
import signal
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chaos.history import Unreadable
from chaos.inputs import CannotRead

if TYPE_CHECKING:
    from chaos.simulation.profiles import Profile

USAGE = 64
UNREADABLE = 65
UNAVAILABLE = 69
BUG = 70
INTERRUPTED = 130


def main(argv: Sequence[str]) -> int:
    """0 when no rule was broken, 1 when one was; 64 and above where nothing can be said.

    An error that nobody foresaw is no broken rule: Python's own exit status for one is 1.
    """
    # Heard as a Ctrl-C is: what is known is said, and what was started is stopped.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        options = _parser(argv).parse_args(list(argv))
        return int(options.go(options))
    except (Unreadable, CannotRead) as error:
        return _failed(str(error), UNREADABLE)
    except KeyboardInterrupt:
        return _failed("interrupted", INTERRUPTED)
    except OSError as error:
        return _failed(f"{error.filename or 'chaos'}: {error.strerror or error}", UNAVAILABLE)
    except Exception as error:  # noqa: BLE001
        traceback.print_exc()
        return _failed(f"this is a bug of chaos itself, {type(error).__name__}", BUG)


class _Parser(argparse.ArgumentParser):
    """One whose complaints end with the exit code for wrong usage."""

    def error(self, message: str) -> Any:
        self.print_usage(sys.stderr)
        self.exit(USAGE, f"{self.prog}: {message}\n")


def _parser(argv: Sequence[str]) -> argparse.ArgumentParser:
    """What the command that is asked for needs, is imported, and no more: a history can be judged
    where no cluster runs."""
    parser = _Parser(prog="python3 -m chaos", description=__doc__)
    commands = parser.add_subparsers(required=True)
    for name, register in REGISTERS.items():
        if name in argv[:1] or not set(argv[:1]) & set(REGISTERS):
            register(commands)
    return parser


def _run(commands: Any) -> None:
    from chaos.running import command

    command.register(commands)


def _simulate(commands: Any) -> None:
    from chaos.simulation import command

    def explain(seed: int, profile: Profile, out: Path, say: Callable[[str], None]) -> int:
        from chaos import explain

        return explain.explain(seed, profile, out, say)

    command.register(commands, explain)


def _mutate(commands: Any) -> None:
    from chaos.mutation import command

    command.register(commands)


def _judge(commands: Any) -> None:
    from chaos import judging

    judging.register(commands)


REGISTERS: dict[str, Callable[[Any], None]] = {
    "run": _run,
    "simulate": _simulate,
    "mutate": _mutate,
    "judge": _judge,
}


def _failed(sentence: str, code: int) -> int:
    print(f"chaos: {sentence}", file=sys.stderr)
    return code
