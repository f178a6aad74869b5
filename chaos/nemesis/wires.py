"""Network namespaces: each node has one of its own, and packets between them are really lost.

    node n1 ─ veth ┐                        ┌ veth ─ the runner and the clients
    node n2 ─ veth ┼─ bridge, in the hub's ─┘        (the machine's own namespace)
    node n3 ─ veth ┘  namespace

Needs root and iproute2, nothing else: no netem, which many kernels lack, and no nftables. Packets
are dropped where they arrive, by a rule of policy routing (`ip rule … blackhole`, ip-rule(8)) on
their source; the rule that finds local addresses first, of preference 0, is put behind those. The
sender is told nothing, as on a wire that was cut.

A namespace lives as long as the process that holds it. Those die with the runner, and namespaces,
links and addresses are gone with them: nothing is to be cleaned up, however the run ends.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import shutil
import subprocess
import time
from collections.abc import Iterable
from pathlib import Path
from random import Random

from chaos.nemesis.fault import CannotInject
from chaos.nemesis.relay import Rule
from cluster.processes import spawn

PATIENCE = 10.0
LOCAL = 10
"""Preference of the rule that finds local addresses; those that drop have DROP."""
DROP = 1
TOOLS = ("ip", "nsenter", "unshare")
Pair = tuple[str, str]


def missing() -> str | None:
    """Why this machine cannot do it; None where it can."""
    if os.geteuid() != 0:
        return "network namespaces need root"
    for tool in TOOLS:
        if shutil.which(tool) is None:
            return f"network namespaces need `{tool}`, which is not here"
    return None


class Wires:
    """The namespaces of a run.

    Args:
        nodes: each gets a namespace and an address.
        log: takes what the tools complain about.

    `addresses`: node → its IP address, once started.
    """

    def __init__(self, nodes: Iterable[str], log: Path) -> None:
        self.nodes = tuple(nodes)
        self._log = log
        # Of 198.18.0.0/15, which RFC 2544 keeps for tests of networks.
        self._net = f"198.18.{Random().randrange(1, 255)}"
        self._outer = f"chaos{os.getpid() % 1_000_000:x}"
        self.addresses = {
            node: f"{self._net}.{number}" for number, node in enumerate(self.nodes, 1)
        }
        self._holders: dict[str, subprocess.Popen[bytes]] = {}
        self._asked: dict[object, tuple[Rule, ...]] = {}
        self._dropped: set[Pair] = set()

    def start(self) -> None:
        """Make them. Raises OSError, CannotInject."""
        for name in ("hub", *self.nodes):
            self._holders[name] = spawn(
                ["unshare", "--net", "sleep", "infinity"], Path("/"), self._log
            )
        for name in self._holders:
            self._until_apart(name)
        self._ip("hub", "link add br0 type bridge", "link set br0 up")
        hub = self._holders["hub"].pid
        for number, (node, address) in enumerate(self.addresses.items(), 1):
            holder = self._holders[node].pid
            self._ip("", f"link add v{number} netns {hub} type veth peer name eth0 netns {holder}")
            self._ip("hub", f"link set v{number} master br0 up")
            self._ip(
                node,
                "link set lo up",
                f"addr add {address}/24 dev eth0",
                "link set eth0 up",
                f"rule add pref {LOCAL} lookup local",
                "rule del pref 0",
            )
        self._ip("", f"link add {self._outer} type veth peer name up0 netns {hub}")
        self._ip("hub", "link set up0 master br0 up")
        self._ip("", f"addr add {self._net}.254/24 dev {self._outer}", f"link set {self._outer} up")

    def inside(self, node: str) -> list[str]:
        """Words in front of a command that make it run in the node's namespace."""
        return ["nsenter", f"--net=/proc/{self._holders[node].pid}/ns/net"]

    def stop(self) -> None:
        """End them. Safe where they were never begun."""
        self.kill_now()
        for holder in self._holders.values():
            holder.wait()
        self._holders.clear()

    def kill_now(self) -> None:
        """End them without waiting; safe in a signal handler."""
        for holder in self._holders.values():
            if holder.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    holder.kill()

    def disturb(self, who: object, rules: Iterable[Rule]) -> None:
        """Drop the packets of pairs that are held; `who` takes it back with `calm`.

        Raises CannotInject.
        """
        self._asked[who] = tuple(rules)
        self._put()

    def calm(self, who: object) -> None:
        """Take back what `who` asked for. Raises CannotInject."""
        self._asked.pop(who, None)
        self._put()

    def pairs(self, *nodes: str) -> list[Pair]:
        """All pairs, in both directions, that have one of these nodes; without names, all."""
        both = itertools.permutations(self.nodes, 2)
        return [pair for pair in both if not nodes or set(pair) & set(nodes)]

    def _put(self) -> None:
        rules = itertools.chain.from_iterable(self._asked.values())
        wanted = {(rule.source, rule.target) for rule in rules if rule.hold}
        for word, pairs in (("add", wanted - self._dropped), ("del", self._dropped - wanted)):
            for source, target in sorted(pairs):
                address = self.addresses[source]
                self._ip(target, f"rule {word} from {address}/32 pref {DROP} blackhole")
        self._dropped = wanted

    def _until_apart(self, name: str) -> None:
        """Wait until the holder is in a namespace of its own."""
        ours = os.readlink("/proc/self/ns/net")
        until = time.monotonic() + PATIENCE
        holder = self._holders[name]
        while os.readlink(f"/proc/{holder.pid}/ns/net") == ours:
            if holder.poll() is not None or time.monotonic() > until:
                raise CannotInject(f"no network namespace can be made here; see {self._log}")
            time.sleep(0.005)

    def _ip(self, name: str, *commands: str) -> None:
        """Commands of ip(8) in a namespace, the empty name is the machine's own."""
        inside = self.inside(name) if name else []
        ended = subprocess.run(
            [*inside, "ip", "-batch", "-"],
            input="\n".join(commands),
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE,
        )
        if ended.returncode != 0:
            said = " ".join(ended.stderr.split())
            raise CannotInject(f"`ip {'; '.join(commands)}` failed: {said}")
