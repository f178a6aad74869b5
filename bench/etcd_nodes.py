"""Three etcd nodes with every default: fsync on, 100 ms heartbeats, 1 s election timeout."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from bench.nodes import HOST, Node, System, View, ask
from bench.processes import Child

PROGRAM = "etcd"


class Etcd(System):
    """The `etcd` of the PATH three times, spoken to through its JSON gateway (3.4 or newer)."""

    name = "etcd"

    @classmethod
    def missing(cls) -> str | None:
        if shutil.which(PROGRAM):
            return None
        return "etcd is not installed, so nothing is compared; to have it: apt install etcd-server"

    def version(self) -> str:
        said = subprocess.run(
            [PROGRAM, "--version"], capture_output=True, text=True, timeout=10, check=False
        ).stdout
        line = said.partition("\n")[0]
        return f"etcd {line.rpartition(' ')[2] or 'unknown'}"

    def _prepare(self, ports: Sequence[int]) -> list[Node]:
        members = [
            (f"e{number}", http, peer)
            for number, (http, peer) in enumerate(zip(ports[::2], ports[1::2], strict=True), 1)
        ]
        everybody = ",".join(f"{name}=http://{HOST}:{peer}" for name, _, peer in members)
        return [
            Node(Child(name, self._command(name, http, peer, everybody), log, self._folder), http)
            for name, http, peer in members
            for log in [Path(self._folder / f"{name}.log")]
        ]

    def _command(self, name: str, http: int, peer: int, everybody: str) -> list[str]:
        callers, peers = f"http://{HOST}:{http}", f"http://{HOST}:{peer}"
        return [
            PROGRAM,
            f"--name={name}",
            f"--data-dir={self._folder / name}",
            f"--listen-client-urls={callers}",
            f"--advertise-client-urls={callers}",
            f"--listen-peer-urls={peers}",
            f"--initial-advertise-peer-urls={peers}",
            f"--initial-cluster={everybody}",
            "--initial-cluster-state=new",
            "--initial-cluster-token=bench",
            "--logger=zap",
            "--log-outputs=stderr",
        ]

    def view(self, node: Node) -> View | None:
        status = ask("POST", node.port, "/v3/maintenance/status", b"{}")
        leader = status.get("leader", "0") if isinstance(status, dict) else "0"
        if leader == "0":
            return None
        applied = int(status.get("raftAppliedIndex", 0))
        return View(str(status["header"]["member_id"]), str(leader), applied)
