"""Attaching file systems of the nemesis, and detaching them for sure.

A mount has a name that says which process answers for it. Whatever is still attached while that
process is gone (a runner that was killed takes its helpers along) is detached at the next start.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import shutil
import socket
import subprocess
from pathlib import Path

from cluster.processes import Identity

DEVICE = Path("/dev/fuse")
PREFIX = "raftcoord-chaos"
MS_NOSUID, MS_NODEV = 2, 4
MNT_DETACH = 2
TABLE = Path("/proc/self/mountinfo")


def missing() -> str | None:
    """Why no FUSE file system can be attached here; None where one can."""
    if not DEVICE.exists():
        return f"there is no {DEVICE}"
    if not os.access(DEVICE, os.R_OK | os.W_OK):
        return f"{DEVICE} may not be opened"
    if os.geteuid() != 0 and _helper() is None:
        return "it needs root, or fusermount3"
    return None


def own_name() -> str:
    """The name of this process's mounts."""
    identity = Identity.of(os.getpid())
    return f"{PREFIX}:{identity.pid}:{identity.birth}"


def mount_fuse(folder: Path) -> int:
    """Attach a FUSE file system; the descriptor on which the kernel asks. Raises OSError."""
    if os.geteuid() != 0:
        return _mount_by_helper(folder)
    device = os.open(DEVICE, os.O_RDWR | os.O_CLOEXEC)
    options = f"fd={device},rootmode=40000,user_id=0,group_id=0,allow_other,default_permissions"
    try:
        mount(folder, "fuse", options)
    except OSError:
        os.close(device)
        raise
    return device


def mount(folder: Path, kind: str, options: str) -> None:
    """mount(2), under this process's name. Raises OSError."""
    library = ctypes.CDLL(None, use_errno=True)
    words = (own_name().encode(), os.fsencode(folder), kind.encode())
    if library.mount(*words, MS_NOSUID | MS_NODEV, options.encode()) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), str(folder))


def unmount(folder: Path) -> None:
    """Detach what is attached there, if anything is, also while it is in use."""
    if os.geteuid() == 0:
        ctypes.CDLL(None, use_errno=True).umount2(os.fsencode(folder), MNT_DETACH)
        return
    helper = _helper()
    if helper is not None:
        subprocess.run([helper, "-u", "-z", "-q", str(folder)], check=False)


def mounts() -> dict[Path, str]:
    """Where the nemesis' file systems are attached, and under which name."""
    found = {}
    for line in TABLE.read_text(encoding="utf-8", errors="replace").splitlines():
        place, _, source = line.partition(" - ")
        name = source.split(" ")[1]
        if name.startswith(f"{PREFIX}:"):
            folder = place.split(" ")[4].encode().decode("unicode_escape")
            found[Path(folder)] = name
    return found


def sweep() -> list[Path]:
    """Detach what was left by processes that are gone; where that was."""
    left = []
    with contextlib.suppress(OSError):
        for folder, name in mounts().items():
            _, pid, birth = name.split(":", 2)
            if not Identity(int(pid), birth).is_alive():
                unmount(folder)
                left.append(folder)
    return left


def _helper() -> str | None:
    return shutil.which("fusermount3") or shutil.which("fusermount")


def _mount_by_helper(folder: Path) -> int:
    """As any user, by the set-uid helper of libfuse, which hands over the open device."""
    helper = _helper()
    if helper is None:
        raise OSError("there is no fusermount3")
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    with ours, theirs:
        options = f"fsname={own_name()},default_permissions"
        done = subprocess.run(
            [helper, "-o", options, "--", str(folder)],
            env={**os.environ, "_FUSE_COMMFD": str(theirs.fileno())},
            pass_fds=[theirs.fileno()],
            capture_output=True,
            text=True,
            check=False,
        )
        theirs.close()
        descriptors = socket.recv_fds(ours, 16, 1)[1] if done.returncode == 0 else []
    if not descriptors:
        raise OSError(f"{helper}: {done.stderr.strip()}")
    os.set_inheritable(descriptors[0], False)
    return descriptors[0]
