"""How a member is started, and what it says of itself."""

from dataclasses import dataclass, field
from typing import Literal

from raftcoord.consensus.core import CoreSettings

Role = Literal["leader", "follower", "candidate", "learner"]


@dataclass(frozen=True)
class MemberAddress:
    """Where a member listens, "host:port" each."""

    peer: str
    http: str


@dataclass(frozen=True)
class NodeSettings:
    """How to start one member.

    start: "normal" takes up the data folder; "init" makes the first data of a new cluster;
        "join" starts empty and asks the members to be taken in. Where there is data already,
        all three take it up.
    host, port: where to listen for peers. secret: known to all members.
    """

    id: str
    cluster: str
    data: str
    host: str
    port: int
    secret: bytes
    members: dict[str, MemberAddress]
    start: Literal["normal", "init", "join"] = "normal"
    segment_bytes: int = 16 << 20
    core: CoreSettings = field(default_factory=CoreSettings)


@dataclass(frozen=True)
class PeerStatus:
    """Another member as this node sees it. match, lag: entries; None where only the leader
    would know."""

    connected: bool
    voter: bool
    peer: str
    http: str
    match: int | None = None
    lag: int | None = None


@dataclass(frozen=True)
class NodeStatus:
    """What this node knows of itself and the cluster.

    revision: the applied log index. ready: it knows the leader and has what that had committed.
    """

    id: str
    cluster: str
    role: Role
    leader: str | None
    leader_http: str | None
    term: int
    revision: int
    commit: int
    last: int
    ready: bool
    full: bool
    time: int
    peers: dict[str, PeerStatus]
    counters: dict[str, int]
