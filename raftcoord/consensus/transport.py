"""The transport between the members of one cluster, in the place of the library's own.

    send() ─ packed at once, gathered per peer ─ flush() ─ one write per peer and turn
    socket ─ handshake (`handshake`) ─ frames (`frames`) ─ _onMessageReceived(node, message)

There is one connection to a peer. Who calls whom is in `dialing`; every connection whose
handshake succeeds is taken, from members and from nodes that are not members (a joiner): who
counts is for the core to say. A newer connection takes the place of an older one, from which
nothing is delivered afterwards (finding 3). Nothing of the other side is parsed before it proved
that it knows the cluster's secret, and nothing is ever unpickled (finding 19).

Callbacks come from the loop, never from within `send`, `flush`, `add_peer` or `drop_peer`.
"""

import asyncio
import logging
from collections.abc import Callable, KeysView
from typing import Any

from pysyncobj.node import Node
from pysyncobj.transport import Transport

from raftcoord.consensus.connection import PeerConnection
from raftcoord.consensus.dialing import PATIENCE, Dialing
from raftcoord.consensus.edges import Edges
from raftcoord.consensus.handshake import Acceptor, Dialer, Identity, check_name
from raftcoord.consensus.peers import PeerAddress, PeerNode, peer_node

__all__ = ["PeerAddress", "PeerConnection", "PeerNode", "PeerTransport"]

_LOG = logging.getLogger(__name__)
_COUNTED = (
    *("frames_in", "frames_out", "bytes_in", "bytes_out", "connections", "calls"),
    *("dropped_sends", "slow_peers", "broken_length", "broken_checksum", "broken_body"),
    *("refused_magic", "refused_version", "refused_malformed", "refused_cluster", "refused_target"),
    *("refused_self", "refused_secret", "refused_timeout", "refused_closed", "refused_full"),
    "refused_duplicate",
)
_QUIET = 10.0
"""Seconds between two log lines for the same reason."""


class PeerTransport(Transport):
    """Messages between this node and its peers.

    Args:
        cluster, node: ids, 1-64 bytes of UTF-8.
        incarnation, boot: the numbers of this data folder and of this process, below 2**64.
        secret: known to all nodes of the cluster and to nobody else.
        on_wake: called after messages were delivered and after a connection came or went.
        shape: the type of a message for msgspec; as it is, messages arrive as dicts. With a
            union of tagged structs they arrive as those, and a frame with any other message
            breaks the connection.
        handshake_timeout: seconds.
        handshakes: incoming connections that may be in their handshake at one time.
        write_limit: bytes that may wait for one peer; one more, and the connection is given up.

    Raises ValueError for ids that do not fit, or an empty secret.
    """

    def __init__(
        self,
        edges: Edges,
        *,
        cluster: str,
        node: str,
        incarnation: int,
        boot: int,
        secret: bytes,
        on_wake: Callable[[], None],
        shape: Any = dict[str, Any],
        handshake_timeout: float = 3.0,
        handshakes: int = 64,
        write_limit: int = 8 << 20,
    ) -> None:
        super().__init__(None, peer_node(node), [])
        if not secret:
            raise ValueError("the cluster's secret is empty")
        self.on_unknown_peer: Callable[[str, int], None] | None = None
        self.counters = dict.fromkeys(_COUNTED, 0)
        self._edges = edges
        self._me = Identity(cluster, node, incarnation, boot)
        self._secret = secret
        self._on_wake = on_wake
        self._shape = shape
        self._timeout = handshake_timeout
        self._handshakes = handshakes
        self._write_limit = write_limit
        self._server: asyncio.Server | None = None
        self._running = False
        self._order = 0
        self._peers: dict[str, Dialing] = {}
        self._links: dict[str, PeerConnection] = {}
        self._greeting: dict[PeerConnection, None] = {}
        self._unsent: dict[PeerConnection, None] = {}
        self._ended: dict[str, int] = {}
        self._complaints: dict[str, tuple[float, int]] = {}

    # The face.

    async def listen(self, host: str, port: int) -> None:
        """Take connections there and begin to call the peers. Raises OSError as bind does."""
        self._running = True
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._incoming, host, port)
        for peer in self._peers.values():
            peer.start()

    @property
    def port(self) -> int:
        """The port it listens on, also where 0 was asked for."""
        assert self._server is not None
        return int(self._server.sockets[0].getsockname()[1])

    def close(self) -> None:
        """End everything at once. No callback is called afterwards."""
        self._running = False
        if self._server is not None:
            self._server.close()
        for peer in self._peers.values():
            peer.stop()
        for connection in [*self._greeting, *self._links.values()]:
            connection.close()
        self._links.clear()
        self._greeting.clear()
        self._unsent.clear()

    def destroy(self) -> None:
        """The library's word for `close`."""
        self.close()

    def add_peer(self, node_id: str, address: PeerAddress) -> None:
        """Keep a connection to this member, or learn that it moved.

        Raises ValueError for an id that does not fit.
        """
        check_name("node id", node_id)
        known = self._peers.get(node_id)
        if known is not None:
            if known.address == address:
                return
            known.stop()
        patience = 0.0 if self._me.node < node_id else PATIENCE
        peer = self._peers[node_id] = Dialing(
            address, lambda: self._outgoing(node_id), self._edges.random, patience, self._timeout
        )
        if self._running and node_id not in self._links:
            peer.start()

    def drop_peer(self, node_id: str) -> None:
        """Call this node no more.

        A connection that is there stays until the other side ends it: a node that was removed
        may still lead, until its removal is committed, or may need to hear of it.
        """
        peer = self._peers.pop(node_id, None)
        if peer is not None:
            peer.stop()

    def addNode(self, node: Node) -> None:
        """The library's face; the address comes by `add_peer`."""

    def dropNode(self, node: Node) -> None:
        """The library's face of `drop_peer`."""
        self.drop_peer(node.id)

    @property
    def connected(self) -> KeysView[str]:
        """The ids of the peers with a connection, in the order they came."""
        return self._links.keys()

    def connection(self, node_id: str) -> PeerConnection | None:
        """The connection to a peer: its `.id`, `.incarnation` and `.boot` are proved."""
        return self._links.get(node_id)

    def send(self, node: Node, message: object) -> bool:
        """Pack a message for the next `flush`; False where it will not leave.

        `message` is a dict with string keys or a msgspec struct; bytes travel as bytes, tuples
        become lists. Raises TypeError for values that msgpack does not know.
        """
        link = self._links.get(node.id)
        if link is None or not link.is_linked:
            self.counters["dropped_sends"] += 1
            return False
        if link not in self._unsent:
            self._unsent[link] = None
            link.measure()
        if not link.writer.add(message):
            self.counters["dropped_sends"] += 1
            self._complain("size", f"a message to {node.id} is too long and was not sent")
            return False
        if link.unsent + link.writer.size <= self._write_limit:
            return True
        self.counters["dropped_sends"] += 1
        self.counters["slow_peers"] += 1
        self._complain("slow", f"{link.id} does not read: the connection is given up")
        link.close()
        return False

    def flush(self) -> None:
        """Write what was gathered, one write per peer."""
        if not self._unsent:
            return
        unsent, self._unsent = self._unsent, {}
        for link in unsent:
            if link.is_linked:
                frames = link.writer.frames
                self.counters["bytes_out"] += link.write()
                self.counters["frames_out"] += link.writer.frames - frames

    # What the connections tell (connection.Owner).

    def opened(self, connection: PeerConnection) -> bool:
        """A socket is connected."""
        self._order += 1
        connection.order = self._order
        if not self._running:
            return False
        if not connection.dialed:
            if len(self._greeting) >= self._handshakes:
                self.refused(connection, "full")
                return False
            self._greeting[connection] = None
        return True

    def admits(self, connection: PeerConnection) -> bool:
        """Where both sides call at the same time, the call of the lower id is the one that stays.

        Otherwise each side might keep another of the two connections and end the other.
        """
        if connection.dialed or self._me.node > connection.id:
            return True
        peer = self._peers.get(connection.id)
        if peer is not None and peer.in_handshake:
            return False
        link = self._links.get(connection.id)
        return link is None or not link.dialed or connection.order > link.linked_order

    def linked(self, connection: PeerConnection) -> None:
        """A handshake is over."""
        self._greeting.pop(connection, None)
        self.counters["connections"] += 1
        self._order += 1
        connection.linked_order = self._order
        connection.linked_at = self._edges.monotonic()
        old = self._links.pop(connection.id, None)
        self._links[connection.id] = connection
        peer = self._peers.get(connection.id)
        if peer is not None:
            peer.linked(connection)
        _LOG.info("linked with %s", connection.id)
        if old is not None:
            old.close()
            self._onNodeDisconnected(old.node)
            if not connection.is_linked:
                return
        if peer is None and self.on_unknown_peer is not None:
            self.on_unknown_peer(connection.id, connection.incarnation)
        self._onNodeConnected(connection.node)
        self._on_wake()

    def deliver(self, connection: PeerConnection, messages: list[Any]) -> None:
        """The messages of one frame."""
        self.counters["frames_in"] += 1
        self.counters["bytes_in"] += connection.bytes_in
        connection.bytes_in = 0
        for message in messages:
            if not connection.is_linked:
                return
            self._onMessageReceived(connection.node, message)
        self._on_wake()

    def refused(self, connection: PeerConnection, reason: str) -> None:
        """A handshake failed."""
        if reason == "closed" and connection.dialed:
            # Where both call at once, one of the calls ends like this; only a habit is worth a
            # line, as with a member that has another secret.
            self._ended[connection.id] = self._ended.get(connection.id, 0) + 1
            if self._ended[connection.id] % 10 == 0:
                self._complain("answer", f"{connection.id} ends handshakes; its log says why")
            return
        self.counters[f"refused_{reason}"] += 1
        if reason not in ("duplicate", "closed"):
            side = f"{connection.id}, called," if connection.dialed else "a caller"
            self._complain(reason, f"{side} was refused: {reason}")

    def broken(self, connection: PeerConnection, reason: str) -> None:
        """What came is no frame."""
        self.counters[f"broken_{reason}"] += 1
        self._complain(f"broken {reason}", f"{connection.id} sent what is no frame: {reason}")

    def lost(self, connection: PeerConnection) -> None:
        """A connection is gone."""
        self.counters["bytes_in"] += connection.bytes_in
        self._greeting.pop(connection, None)
        self._unsent.pop(connection, None)
        if not self._running:
            return
        peer = self._peers.get(connection.id)
        if self._links.get(connection.id) is connection:
            del self._links[connection.id]
            _LOG.info("lost %s", connection.id)
            if peer is not None:
                peer.lost(self._edges.monotonic() - connection.linked_at)
            self._onNodeDisconnected(connection.node)
            self._on_wake()
        elif peer is not None and peer.calling is connection:
            peer.failed()

    # Within.

    def _incoming(self) -> PeerConnection:
        handshake = Acceptor(self._me, self._secret, self._edges.random_bytes)
        return self._connection(handshake, "")

    def _outgoing(self, node_id: str) -> PeerConnection:
        self.counters["calls"] += 1
        handshake = Dialer(self._me, self._secret, self._edges.random_bytes, node_id)
        return self._connection(handshake, node_id)

    def _connection(self, handshake: Acceptor | Dialer, called: str) -> PeerConnection:
        return PeerConnection(
            self, handshake, called=called, timeout=self._timeout, shape=self._shape
        )

    def _complain(self, about: str, text: str) -> None:
        """One line, and no more for a while about the same: a stranger must not fill the log."""
        now = self._edges.monotonic()
        due, passed_over = self._complaints.get(about, (now, 0))
        if now < due:
            self._complaints[about] = (due, passed_over + 1)
            return
        self._complaints[about] = (now + _QUIET, 0)
        more = f" ({passed_over} more like this since)" if passed_over else ""
        _LOG.warning("peers: %s%s", text, more)
