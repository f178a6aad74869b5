"""A cluster as one object without nodes: what each request does at the moment it takes effect."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from chaos.history import SECOND
from raftcoord.hashring import HashRing


class Answered(NamedTuple):
    """What a request is answered; `slug` None: it was done."""

    revision: int
    slug: str | None
    answer: dict[str, Any]


Told = Callable[[Answered], None]


@dataclass
class _Grant:
    owner: str
    token: int
    ttl: float
    until: int


@dataclass
class _Lock:
    grant: _Grant | None = None
    queue: list[tuple[dict[str, Any], Told]] = field(default_factory=list)


@dataclass
class _Case:
    votes: dict[str, str | None]
    acked: dict[str, bool]
    auto: bool
    decision: str | None = None
    reason: str | None = None

    @property
    def state(self) -> str:
        if self.decision is None:
            return "open"
        if all(self.acked.values()):
            return "finished"
        return {"commit": "committed", "abort": "aborted"}[self.decision]


@dataclass
class _Deal:
    value: str
    number: int
    state: str = "prepared"


class Cluster:
    """`at(moment, do)`: does something later; `now` is kept by whoever plays."""

    def __init__(self, at: Callable[[int, Callable[[], None]], None]) -> None:
        self.now = 0
        self._at = at
        self._revision = 0
        self._tokens = 0
        self._numbers = 0
        self._locks: dict[str, _Lock] = {}
        self._rings: dict[str, tuple[int, dict[str, float]]] = {}
        self._cases: dict[int, _Case] = {}
        self._deals: dict[str, _Deal] = {}
        self._values: dict[tuple[str, str], _Deal] = {}

    def do(self, kind: str, asked: dict[str, Any], told: Told) -> None:
        """Let a request take effect."""
        word = kind.replace(".", "_")
        if kind not in ("lock.read", "lock.check", "ring.read", "ring.lookup", "transaction.read"):
            self._revision += 1
        slug, answer = getattr(self, f"_{word}")(asked, told)
        if answer is not None:
            told(Answered(self._revision, slug, answer))

    # Locks.

    def _lock(self, name: str) -> _Lock:
        return self._locks.setdefault(name, _Lock())

    def _lock_acquire(self, asked: dict[str, Any], told: Told) -> Any:
        lock = self._lock(asked["name"])
        if lock.grant is not None and lock.grant.owner == asked["owner"]:
            return "already-held", {"grant": self._shown(lock.grant)}
        if lock.grant is None:
            return None, self._grant(lock, asked)
        if asked.get("wait"):
            waiting = (asked, told)
            lock.queue.append(waiting)
            self._at(self.now + int(asked["wait"] * SECOND), lambda: self._wait_over(lock, waiting))
            return None, None
        return "lock-held", self._held(lock)

    def _held(self, lock: _Lock) -> dict[str, Any]:
        assert lock.grant is not None
        return {"holders": [{"owner": lock.grant.owner}], "reason": "held"}

    def _wait_over(self, lock: _Lock, waiting: tuple[dict[str, Any], Told]) -> None:
        if any(other is waiting for other in lock.queue):
            lock.queue = [other for other in lock.queue if other is not waiting]
            self._revision += 1
            waiting[1](Answered(self._revision, "lock-held", self._held(lock)))

    def _grant(self, lock: _Lock, asked: dict[str, Any]) -> dict[str, Any]:
        self._tokens += 1
        until = self.now + int(asked["ttl"] * SECOND)
        grant = lock.grant = _Grant(asked["owner"], self._tokens, asked["ttl"], until)
        self._at(until, lambda: self._expire(lock, grant, until))
        return {
            "token": grant.token,
            "holder": {"owner": grant.owner},
            "expires_in": grant.ttl,
        }

    def _expire(self, lock: _Lock, grant: _Grant, until: int) -> None:
        if lock.grant is grant and grant.until == until:
            self._revision += 1
            self._free(lock)

    def _free(self, lock: _Lock) -> None:
        lock.grant = None
        while lock.queue and lock.grant is None:
            asked, told = lock.queue.pop(0)
            told(Answered(self._revision, None, self._grant(lock, asked)))

    def _mine(self, asked: dict[str, Any]) -> _Grant | None:
        grant = self._lock(asked["name"]).grant
        mine = grant is not None and (grant.owner, grant.token) == (asked["owner"], asked["token"])
        return grant if mine else None

    def _lock_release(self, asked: dict[str, Any], told: Told) -> Any:
        if self._mine(asked) is None:
            return "not-holder", {}
        told(Answered(self._revision, None, {"token": asked["token"]}))
        self._free(self._lock(asked["name"]))
        return None, None

    def _lock_refresh(self, asked: dict[str, Any], told: Told) -> Any:
        grant = self._mine(asked)
        if grant is None:
            return "not-holder", {}
        until = grant.until = self.now + int(grant.ttl * SECOND)
        self._at(until, lambda: self._expire(self._lock(asked["name"]), grant, until))
        return None, {"token": grant.token, "expires_in": grant.ttl}

    def _shown(self, grant: _Grant) -> dict[str, Any]:
        left = (grant.until - self.now) / SECOND
        return {"owner": grant.owner, "token": grant.token, "expires_in": left}

    def _lock_read(self, asked: dict[str, Any], told: Told) -> Any:
        lock = self._lock(asked["name"])
        holders = [] if lock.grant is None else [self._shown(lock.grant)]
        return None, {"holders": holders, "queue": len(lock.queue)}

    def _lock_check(self, asked: dict[str, Any], told: Told) -> Any:
        grant = self._lock(asked["name"]).grant
        if grant is None or grant.token != asked["token"]:
            return None, {"holds": False}
        return None, {"holds": True, "holder": self._shown(grant)}

    # Rings.

    def _ring_join(self, asked: dict[str, Any], told: Told) -> Any:
        version, members = self._rings.get(asked["ring"], (0, {}))
        changed = members.get(asked["member"]) != asked["weight"]
        if changed:
            version, members = version + 1, {**members, asked["member"]: asked["weight"]}
            self._rings[asked["ring"]] = version, members
        return None, {"version": version, "changed": changed}

    def _ring_leave(self, asked: dict[str, Any], told: Told) -> Any:
        if asked["ring"] not in self._rings:
            return "unknown-ring", {}
        version, members = self._rings[asked["ring"]]
        changed = asked["member"] in members
        if changed:
            rest = {name: weight for name, weight in members.items() if name != asked["member"]}
            version, members = self._rings[asked["ring"]] = version + 1, rest
        return None, {"version": version, "changed": changed}

    def _ring_read(self, asked: dict[str, Any], told: Told) -> Any:
        if asked["ring"] not in self._rings:
            return "unknown-ring", {}
        version, members = self._rings[asked["ring"]]
        shown = [{"id": name, "weight": weight} for name, weight in members.items()]
        return None, {"version": version, "members": shown, "virtual_nodes": 128}

    def _ring_lookup(self, asked: dict[str, Any], told: Told) -> Any:
        if asked["ring"] not in self._rings:
            return "unknown-ring", {}
        version, members = self._rings[asked["ring"]]
        found = HashRing(members).lookup(asked["key"], asked["n"])
        return None, {"version": version, "members": found}

    # Transactions.

    def _transaction_begin(self, asked: dict[str, Any], told: Told) -> Any:
        self._numbers += 1
        names, number = asked["participants"], self._numbers
        case = _Case(dict.fromkeys(names), dict.fromkeys(names, False), asked["decide"] == "auto")
        self._cases[number] = case
        self._at(self.now + int(asked["timeout"] * SECOND), lambda: self._time_out(case))
        return None, self._case_shown(number, case)

    def _time_out(self, case: _Case) -> None:
        if case.decision is None:
            self._revision += 1
            case.decision, case.reason = "abort", "timeout"

    def _case_shown(self, number: int, case: _Case) -> dict[str, Any]:
        shown = {"id": number, "state": case.state, "decision": case.decision}
        return shown if case.reason is None else {**shown, "reason": case.reason}

    def _transaction_vote(self, asked: dict[str, Any], told: Told) -> Any:
        number, name, vote = asked["id"], asked["participant"], asked["vote"]
        case = self._cases[number]
        if case.votes[name] != vote:
            if case.decision is not None:
                return "transaction-decided", self._case_shown(number, case)
            if case.votes[name] is not None:
                return "vote-conflict", {"participant": name, "vote": case.votes[name]}
            case.votes[name] = vote
            if vote == "abort":
                case.decision, case.reason = "abort", "vote"
            elif case.auto and None not in case.votes.values():
                case.decision = "commit"
        return None, self._case_shown(number, case)

    def _transaction_commit(self, asked: dict[str, Any], told: Told) -> Any:
        case = self._cases[asked["id"]]
        missing = [name for name, vote in case.votes.items() if vote is None]
        if case.decision is None and missing:
            return "votes-missing", {"missing": missing}
        if case.decision is None:
            case.decision = "commit"
        slug = None if case.decision == "commit" else "transaction-decided"
        return slug, self._case_shown(asked["id"], case)

    def _transaction_rollback(self, asked: dict[str, Any], told: Told) -> Any:
        case = self._cases[asked["id"]]
        if case.decision is None:
            case.decision, case.reason = "abort", "rollback"
        slug = None if case.decision == "abort" else "transaction-decided"
        return slug, self._case_shown(asked["id"], case)

    def _transaction_ack(self, asked: dict[str, Any], told: Told) -> Any:
        case = self._cases[asked["id"]]
        if case.decision is None:
            return "transaction-open", {"id": asked["id"], "state": "open"}
        case.acked[asked["participant"]] = True
        return None, self._case_shown(asked["id"], case)

    def _transaction_read(self, asked: dict[str, Any], told: Told) -> Any:
        case = self._cases[asked["id"]]
        participants = {
            name: {"vote": vote, "acked": case.acked[name]} for name, vote in case.votes.items()
        }
        return None, {**self._case_shown(asked["id"], case), "participants": participants}

    # The simple protocol.

    def _simple_prepare(self, asked: dict[str, Any], told: Told) -> Any:
        key = asked["key"]
        present = self._deals.get(key)
        if present is not None and present.state == "prepared":
            return "already-prepared", {"transaction": present.number, "state": "prepared"}
        self._numbers += 1
        deal = self._deals[key] = _Deal(asked["value"], self._numbers)
        self._values[key, deal.value] = deal
        self._at(self.now + int(asked["expire"] * SECOND), lambda: self._drop(deal))
        return None, {"transaction": deal.number, "state": "prepared"}

    def _drop(self, deal: _Deal) -> None:
        if deal.state == "prepared":
            self._revision += 1
            deal.state = "aborted"

    def _simple_commit(self, asked: dict[str, Any], told: Told) -> Any:
        return self._decide(asked["key"], asked["value"], "committed")

    def _simple_rollback(self, asked: dict[str, Any], told: Told) -> Any:
        return self._decide(asked["key"], asked["prepared"], "aborted")

    def _decide(self, key: str, value: str, state: str) -> Any:
        deal = self._values[key, value]
        if deal.state == "prepared":
            deal.state = state
        slug = None if deal.state == state else "transaction-decided"
        return slug, {"transaction": deal.number, "state": deal.state}
