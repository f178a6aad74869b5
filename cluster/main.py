"""`python3 -m cluster`: a cluster of raftcoord nodes on this machine."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from cluster.places import DEFAULT_FOLDER, LAST_PORT, MOST_NODES, Places
from cluster.problem import Problem

NODE_COMMANDS = {
    "kill": "kill a node with SIGKILL; the supervisor starts it again after a second",
    "stop": "stop a node cleanly and leave it down",
    "start": "start a node that is down",
    "pause": "freeze a node (SIGSTOP)",
    "resume": "let a paused node go on (SIGCONT)",
    "rejoin": "bring a node back whose data is gone or damaged: empty, as a learner, then a voter",
}


def main(argv: list[str]) -> int:
    """Exit status 0; 1 with one sentence on stderr; 2 for wrong usage; 130 when interrupted."""
    parser = _parser()
    if not argv:
        parser.print_help(sys.stderr)
        return 2
    options = parser.parse_args(argv)
    try:
        _check_folder(getattr(options, "places", None))
        status: int = options.run(options)
        sys.stdout.flush()
    except Problem as problem:
        print(f"cluster: {problem}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # Whoever read our output has seen enough.
        sys.stdout = None
        return 0
    except OSError as error:
        # A full disk, a right that is missing: the system's own words say it best.
        print(f"cluster: {error}", file=sys.stderr)
        return 1
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python3 -m cluster", description=__doc__)
    commands = parser.add_subparsers(metavar="COMMAND", required=True)

    def command(
        name: str, run: Callable[[argparse.Namespace], int], text: str
    ) -> argparse.ArgumentParser:
        made = commands.add_parser(name, help=text, description=text)
        made.set_defaults(run=run)
        return made

    def on_folder(
        name: str, run: Callable[[argparse.Namespace], int], text: str
    ) -> argparse.ArgumentParser:
        made = command(name, run, text)
        made.add_argument(
            "--data",
            type=_places,
            default=Places(DEFAULT_FOLDER),
            dest="places",
            metavar="DIR",
            help="the cluster's folder (default: .cluster)",
        )
        return made

    up = on_folder("up", _up, "start the nodes and follow them; Ctrl-C stops them")
    up.add_argument("--detach", action="store_true", help="give the prompt back when all are ready")
    up.add_argument("--no-restart", action="store_true", help="leave a node dead that died")
    up.add_argument("--port", type=_port, help="the first node's port (default: 8080)")
    up.add_argument("--nodes", type=_count, help="how many nodes (default: 3)")
    up.add_argument("--report", type=int, help=argparse.SUPPRESS)

    status = on_folder("status", _status, "what runs, who leads, who lags")
    status.add_argument("--json", action="store_true", help="the same for programs")

    logs = on_folder("logs", _logs, "the nodes' logs")
    logs.add_argument("node", type=_node, nargs="?", help="only this node's (2 or n2)")
    logs.add_argument("-f", "--follow", action="store_true", help="go on with what is added")
    logs.add_argument("-n", "--lines", type=int, default=20, help="lines of each (default: 20)")

    for name, text in NODE_COMMANDS.items():
        node_command = on_folder(name, _order(name), text)
        node_command.add_argument("node", type=_node, help="its number (2 or n2)")

    on_folder("down", _down, "stop the cluster cleanly")

    wipe = on_folder("wipe", _wipe, "remove the data of a stopped cluster, or of one stopped node")
    wipe.add_argument("node", type=_node, nargs="?", help="only this node's data")
    wipe.add_argument("--yes", action="store_true", help="do not ask")

    command("demo", _demo, "kill a leader and see what outlives it, in under 30 seconds")
    return parser


def _check_folder(places: Places | None) -> None:
    if places is not None and places.folder.exists() and not places.folder.is_dir():
        raise Problem(f"{places.shown()} is no folder; give the cluster's folder with --data")


def _places(text: str) -> Places:
    if not text:
        raise argparse.ArgumentTypeError("an empty name is no folder")
    return Places(Path(text).absolute())


def _node(text: str) -> int:
    number = text.removeprefix("n")
    if not number.isdecimal() or not 1 <= int(number) <= MOST_NODES:
        raise argparse.ArgumentTypeError(f"{text!r} is no node; nodes are 1 to {MOST_NODES}")
    return int(number)


def _port(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= LAST_PORT:
        raise argparse.ArgumentTypeError(
            f"{text!r} is no port from 1 to {LAST_PORT} (peers meet 10,000 above it)"
        )
    return int(text)


def _count(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= MOST_NODES:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of nodes from 1 to {MOST_NODES}")
    return int(text)


# What a command needs is imported when it runs: `status` does not wait for `up`'s modules.


def _up(options: argparse.Namespace) -> int:
    from cluster.up import UpOptions, detach, up

    wanted = UpOptions(
        options.places, options.nodes, options.port, not options.no_restart, options.report
    )
    return detach(wanted) if options.detach else up(wanted)


def _status(options: argparse.Namespace) -> int:
    from cluster.commands import status

    return status(options.places, as_json=options.json)


def _logs(options: argparse.Namespace) -> int:
    from cluster.commands import nodes_of
    from cluster.logs import logs

    nodes = nodes_of(options.places, options.node)
    return logs(options.places, nodes, lines=options.lines, follow=options.follow)


def _order(name: str) -> Callable[[argparse.Namespace], int]:
    def run(options: argparse.Namespace) -> int:
        from cluster.control import ask

        ask(options.places, {"do": name, "node": options.node})
        return 0

    return run


def _down(options: argparse.Namespace) -> int:
    from cluster.commands import down

    return down(options.places)


def _wipe(options: argparse.Namespace) -> int:
    from cluster.commands import wipe

    return wipe(options.places, options.node, yes=options.yes)


def _demo(options: argparse.Namespace) -> int:
    from cluster.demo import demo

    return demo()
