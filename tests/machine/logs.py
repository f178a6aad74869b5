"""Makes logs: entries that one after the other make sense for a machine, and some that do not.

Few names, so that commands meet; many retries, late copies, cancels and clock steps around the
deadlines, because that is where rules break.
"""

from random import Random

from raftcoord.commands import (
    AcknowledgeTransaction,
    AcquireLock,
    AdvanceClock,
    AnyCommand,
    BeginTransaction,
    CancelAcquire,
    CloseSession,
    CommitTransaction,
    DeleteRing,
    Envelope,
    JoinRing,
    KeepAlive,
    LeaveRing,
    OpenSession,
    PutRing,
    RefreshLock,
    ReleaseLock,
    RollbackTransaction,
    SimpleCommit,
    SimpleLock,
    SimplePrepare,
    SimpleRollback,
    SimpleUnlock,
    VoteTransaction,
    encode,
)
from raftcoord.machine import Machine

NAMES = ("a", "b", "c/1", "ü")
OWNERS = ("w1", "w2", "w3")
VALUES = ("v1", "v2")
GATEWAYS = ("n1", "n2")
MEMBERS = ("m1", "m2", "m3")
STEPS = {0: 60, 1: 10, 50: 12, 300: 8, 1_000: 5, 3_000: 2, 30_000: 1, 700_000: 1}

Entry = tuple[int, int, int, bytes]


class LogMaker:
    """Makes entries for a machine, looking at what stands in it."""

    def __init__(self, random: Random, machine: Machine) -> None:
        self._random = random
        self._machine = machine
        self._index = 0
        self._time = 0
        self._seqs = dict.fromkeys(GATEWAYS, 0)
        self._boots = dict.fromkeys(GATEWAYS, 1)
        self._sent: list[Envelope] = []

    def entry(self) -> Entry:
        """The next entry; it is to be applied before another is made."""
        random = self._random
        self._index += 1
        self._time += random.choices(list(STEPS), list(STEPS.values()))[0]
        chance = random.randrange(100)
        if chance < 5:
            payload = b""
        elif chance < 15 and self._sent:
            payload = encode(random.choice(self._sent[-20:]))
        else:
            payload = encode(self._envelope())
        return self._index, 1, self._time, payload

    def _envelope(self) -> Envelope:
        random = self._random
        gateway = random.choice(GATEWAYS)
        if random.randrange(100) == 0:
            self._boots[gateway] += 1
            self._seqs[gateway] = 0
        self._seqs[gateway] += 1
        seq = self._seqs[gateway]
        low = max(1, seq - random.choice((5, 20)))
        identity = random.choice(("", "", "", "eve"))
        boot = self._boots[gateway]
        command = self._command()
        if isinstance(command, AdvanceClock):  # not keyed: it may be executed twice
            return Envelope(gateway, boot, 0, 0, "", command)
        envelope = Envelope(gateway, boot, seq, low, identity, command)
        self._sent.append(envelope)
        return envelope

    def _command(self) -> AnyCommand:
        random = self._random
        kind = random.choices(
            ("session", "acquire", "held", "cancel", "ring", "transaction", "simple", "clock"),
            (12, 30, 18, 6, 12, 14, 12, 2),
        )[0]
        command: AnyCommand = getattr(self, f"_{kind}")()
        return command

    def _one_of(self, *commands: AnyCommand) -> AnyCommand:
        return self._random.choice(commands)

    def _some_session(self) -> int | None:
        random = self._random
        rows = list(self._machine.sessions.table.rows)
        if random.randrange(4) == 0 or not rows:
            return None if random.randrange(8) else 999
        return random.choice(rows)

    def _session(self) -> AnyCommand:
        session = self._some_session() or 1
        return self._one_of(
            OpenSession(self._random.choice((2_000, 5_000, 86_400_000)), {"é": [1, None, 2.5]}),
            OpenSession(3_000),
            KeepAlive((session, 1, "x", session + 1)),
            KeepAlive((session,)),
            CloseSession(session),
        )

    def _acquire(self) -> AnyCommand:
        random = self._random
        session = self._some_session()
        return AcquireLock(
            random.choice(NAMES),
            random.choice(OWNERS),
            session,
            random.choice((None, 700, 1_500)) if session else random.choice((900, 5_000)),
            random.choice((0, 400, 1_000, 6_000)),
            random.choice((None, {"k": "v"})),
        )

    def _held(self) -> AnyCommand:
        """Release or refresh: what is held, or what is not."""
        random = self._random
        grants = self._machine.locks.grants.table.rows
        name, owner, session, token = random.choice(NAMES), random.choice(OWNERS), None, 1
        if grants and random.randrange(5):
            token = random.choice(list(grants))
            grant = grants[token]
            name, owner, session = grant.name, grant.holder.owner, grant.holder.session
        return self._one_of(
            ReleaseLock(name, owner, token, session),
            ReleaseLock(name, owner, token, session),
            RefreshLock(name, owner, token, session, random.choice((None, 300, 4_000))),
        )

    def _cancel(self) -> AnyCommand:
        random = self._random
        acquires = [sent for sent in self._sent if isinstance(sent.command, AcquireLock)]
        if not acquires:
            return CancelAcquire("a", "w1", "n1", 1, 50)
        sent = random.choice(acquires[-6:])
        command = sent.command
        assert isinstance(command, AcquireLock)
        seq = sent.seq + random.choice((0, 0, 0, 1))
        return CancelAcquire(
            command.name, command.owner, sent.gateway, sent.boot, seq, command.session
        )

    def _ring(self) -> AnyCommand:
        random = self._random
        name, member = random.choice(NAMES[:2]), random.choice(MEMBERS)
        return self._one_of(
            PutRing(name, random.choice((8, 128)), random.choice((1, 2))),
            JoinRing(name, member, random.choice((1.0, 0.5)), session=self._some_session()),
            JoinRing(name, member, 1.0, "10.0.0.1:1", {"z": 1}),
            LeaveRing(name, member),
            LeaveRing(name, member),
            DeleteRing(name) if random.randrange(4) == 0 else PutRing(name),
        )

    def _transaction(self) -> AnyCommand:
        random = self._random
        last = self._machine._ledger.counters.get("transaction", 0)
        number = max(0, last - random.choice((-1, 0, 0, 0, 1, 2)))
        name = random.choice(("p", "q"))
        return self._one_of(
            BeginTransaction(("p", "q"), random.choice((1_000, 9_000))),
            BeginTransaction(("p",), 3_000, "auto", self._some_session()),
            VoteTransaction(number, {name: random.choice(("commit", "commit", "abort"))}),
            VoteTransaction(number, {"p": "commit", "q": "commit"}),
            CommitTransaction(number),
            RollbackTransaction(number),
            AcknowledgeTransaction(number, name),
        )

    def _simple(self) -> AnyCommand:
        random = self._random
        key, value = random.choice(NAMES[:2]), random.choice(VALUES)
        if random.randrange(3) == 0:
            key = "s"  # a lock nobody else wants
        return self._one_of(
            SimpleLock(key, random.choice((500, 4_000)), value),
            SimpleUnlock(key, value),
            SimplePrepare(key, random.choice((500, 4_000)), value),
            SimpleCommit(key, value),
            SimpleRollback(key, random.choice((None, value))),
        )

    def _clock(self) -> AnyCommand:
        return AdvanceClock(self._random.choice((1, 1, 2)))


def make(seed: int, length: int) -> list[Entry]:
    """A log of that length; the same for the same seed."""
    machine = Machine()
    maker = LogMaker(Random(seed), machine)
    entries = []
    for _ in range(length):
        entry = maker.entry()
        machine.apply(*entry)
        entries.append(entry)
    return entries
