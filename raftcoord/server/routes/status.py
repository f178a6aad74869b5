"""/v1/status, /livez and /readyz: what this node says of itself."""

from typing import Any

from raftcoord.consensus.settings import NodeStatus, PeerStatus
from raftcoord.errors import NotReady
from raftcoord.server.answers import NO_STORE, Answer
from raftcoord.server.calls import Call
from raftcoord.server.front import Front
from raftcoord.server.router import Route


async def get_status(front: Front, call: Call) -> Answer:
    """GET /v1/status → node, role, leader, term, revision, peers with their lag, alarms"""
    call.query()
    status = front.status()
    return Answer(_view(front, status), status.revision, headers=NO_STORE)


async def live(front: Front, call: Call) -> Answer:
    """GET /livez → this process answers"""
    call.query()
    return Answer({"status": "live"}, headers=NO_STORE)


async def ready(front: Front, call: Call) -> Answer:
    """GET /readyz → this node knows its leader and has what that had committed"""
    call.query()
    status = front.status()
    if not status.ready or not front.gateway.is_open:
        raise NotReady(
            f"{status.id} is {status.role}, leader {status.leader or 'unknown'}",
            reason="no-leader" if status.leader is None else "catching-up",
        )
    return Answer({"status": "ready"}, status.revision, headers=NO_STORE)


def _view(front: Front, status: NodeStatus) -> dict[str, Any]:
    return {
        "node": status.id,
        "cluster": status.cluster,
        "role": status.role,
        "leader": status.leader,
        "leader_http": status.leader_http,
        "term": status.term,
        "revision": status.revision,
        "commit": status.commit,
        "last": status.last,
        "ready": status.ready,
        "full": status.full,
        "clock": status.time / 1000,
        "peers": {name: _peer(peer) for name, peer in status.peers.items()},
        "counters": status.counters,
        "alarms": [
            {"index": alarm.index, "what": alarm.what, "error": alarm.error}
            for alarm in front.machine.alarms
        ],
    }


def _peer(peer: PeerStatus) -> dict[str, Any]:
    return {
        "connected": peer.connected,
        "voter": peer.voter,
        "peer": peer.peer,
        "http": peer.http,
        "match": peer.match,
        "lag": peer.lag,
    }


ROUTES = (
    Route("GET", "/v1/status", get_status),
    Route("GET", "/livez", live),
    Route("GET", "/readyz", ready),
)
