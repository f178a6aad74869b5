"""The command line. Each command is a thin skin over what it calls."""

import os
import sys
from collections.abc import Callable
from typing import Any, TypeVar

import click

from raftcoord import __version__
from raftcoord.errors import ConfigInvalid, RaftcoordError
from raftcoord.server.config import PREFIX, Config, development, load
from raftcoord.server.config_keys import KEYS
from raftcoord.server.process import Start, run

DEVELOPMENT_DATA = ".raftcoord-dev"

_Command = TypeVar("_Command", bound=Callable[..., Any])


@click.group()
@click.version_option(__version__, prog_name="raftcoord")
def main() -> None:
    """A coordination server: locks, a consistent hash ring and two-phase commit."""


_SHORT = {"http.port": "--port", "node.data": "--data", "node.allow_plaintext": "--allow-plaintext"}


def _with_keys(command: _Command) -> _Command:
    """An option for every key of the configuration; the keys check the values themselves."""
    for name, key in reversed(KEYS.items()):
        parameter = name.replace(".", "__")
        names = [parameter, key.flag, *([_SHORT[name]] if name in _SHORT else [])]
        if key.kind == "switch":
            names[1] = f"{key.flag}/--no-{key.flag.removeprefix('--')}"
            option = click.option(*names, default=None, help=key.help)
        else:
            option = click.option(*names, default=None, metavar=key.kind.upper(), help=key.help)
        command = option(command)
    return command


@main.command()
@click.option("--config", metavar="FILE", help="TOML file; every key also has an option below.")
@click.option("--init", is_flag=True, help="First start of a new cluster, once on every member.")
@click.option("--join", is_flag=True, help="Start empty, and learn everything from the others.")
@click.option("--dev", is_flag=True, help="A cluster of one on this machine; no configuration.")
@_with_keys
def serve(config: str | None, init: bool, join: bool, dev: bool, **keys: Any) -> None:
    """Run a node until SIGTERM or Ctrl-C."""
    given = {name.replace("__", "."): value for name, value in keys.items() if value is not None}
    try:
        if init and join:
            raise ConfigInvalid("--init and --join exclude each other", field="init")
        if dev:
            settings = _development(config, given)
        else:
            settings = load(config or os.environ.get(f"{PREFIX}CONFIG"), os.environ, given)
    except RaftcoordError as error:
        click.echo(f"raftcoord: {error.detail}", err=True)
        sys.exit(error.exit_code)
    # The cluster of one is made where it is not there yet.
    start: Start = "init" if init or dev else "join" if join else "normal"
    sys.exit(run(settings, start))


def _development(config: str | None, given: dict[str, Any]) -> Config:
    data = given.pop("node.data", DEVELOPMENT_DATA)
    port = given.pop("http.port", str(KEYS["http.port"].default))
    if config is not None or given:
        other = "config" if config is not None else next(iter(given))
        raise ConfigInvalid(
            f"{other} does not go with --dev; allowed: --data and --port", field=other
        )
    key = KEYS["http.port"]
    if (problem := key.problem(key.parse(port))) is not None:
        raise ConfigInvalid(
            f"http.port (flag --port): {problem}; allowed: {key.allowed}", field="http.port"
        )
    return development(data, int(port), os.urandom(32))
