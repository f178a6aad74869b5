"""The way in for `python3 -m cluster`, `tests`, `chaos` and `bench`: standard library only.

This file is read by whatever Python the caller has, so it keeps to syntax that every Python 3.6
understands; what needs a newer one lives in `cluster.environment`, imported after the check.
"""

import os
import shutil
import sys

OLDEST = (3, 11)


def enter(group: str) -> None:
    """Return with the pinned packages of `group` ("runtime" or "tests") importable.

    Where they are missing, makes `.venv` in the project root, installs them, and replaces this
    process by the same command inside it. Ends the process with one sentence where that cannot be.
    """
    if sys.version_info[:2] < OLDEST:
        sys.exit(_too_old())
    from cluster.environment import Environment, Unusable

    try:
        environment = Environment.of_project()
        standing = environment.standing(group)
        if standing == "missing":
            from cluster.installation import install

            install(environment, group)
        if standing != "here" or environment.is_running():
            environment.introduce()
        if standing != "here":
            environment.move_in()
    except Unusable as error:
        sys.exit(f"raftcoord: {error}")
    except KeyboardInterrupt:
        sys.stderr.write("\nraftcoord: interrupted; the next start begins the installation anew\n")
        sys.exit(130)


def _too_old() -> str:
    mine = "{}.{}".format(*sys.version_info[:2])
    newer = [name for name in ("python3.13", "python3.12", "python3.11") if shutil.which(name)]
    what_to_do = (
        f"run the same command with {newer[0]}" if newer else "install a newer Python (3.11-3.13)"
    )
    name = os.path.basename(sys.executable or "python3")
    return f"raftcoord: needs Python 3.11 or newer and {name} is {mine}; {what_to_do}"
