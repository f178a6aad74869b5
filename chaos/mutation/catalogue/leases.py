"""Faults in time, sessions and what lives with them."""

from chaos.mutation.focus import KILLS, SNAPSHOTS
from chaos.mutation.mutation import Mutation
from chaos.mutation.patching import Edit, Value

SESSIONS = {"workloads": ("sessions",)}
LOCKS = {"workloads": ("locks",)}

MUTATIONS = (
    Mutation(
        "clock-leaps-at-a-failover",
        "clock",
        "The clock of a new leader begins five seconds ahead.",
        (
            Edit(
                "consensus.serving:Serving._first_applied",
                "        self._clock.start(start, self.now())",
                "        start += 5000 if index > 3 else 0\n"
                "        self._clock.start(start, self.now())",
            ),
        ),
        focus={**KILLS, "workloads": ("locks", "sessions")},
    ),
    Mutation(
        "clock-runs-fast-after-a-failover",
        "clock",
        "The clock of every leader but the first runs at twice its pace.",
        (
            Edit(
                "consensus.clock:ClusterClock.read",
                "int((now - self._read_at) * 1000)",
                "int((now - self._read_at) * (2000 if self._time > 3000 else 1000))",
            ),
        ),
        focus={**KILLS, "workloads": ("locks", "sessions")},
    ),
    Mutation(
        "clock-stands-still",
        "clock",
        "No time passes between two entries of a leader's.",
        (
            Edit(
                "consensus.clock:ClusterClock.read",
                "self._time += elapsed",
                "self._time += elapsed // 10",
            ),
        ),
        focus=LOCKS,
    ),
    Mutation(
        "nothing-expires-by-itself",
        "clock",
        "No entry is written when something is due and nobody asks for anything.",
        (
            Edit(
                "consensus.serving:Serving._advance_clock",
                "if self.settings.advance is None or",
                "if True or",
            ),
        ),
        within=20,
        focus={**LOCKS, "load": 2.0},
    ),
    Mutation(
        "session-lives-too-long",
        "sessions",
        "A session that is over lives three seconds more.",
        (
            Edit(
                "machine.sessions:Sessions.live",
                "session.expires <= self._ledger.clock",
                "session.expires + 3000 <= self._ledger.clock",
            ),
            Edit(
                "machine.sessions:Sessions.expire",
                'self._end(self.table.rows[number], "expired")',
                "session = self.table.rows[number]\n"
                "    if session.expires + 3000 > self._ledger.clock:\n"
                '        self._deadlines.arm(("session", number), session.expires + 3000)\n'
                "    else:\n"
                '        self._end(session, "expired")',
            ),
        ),
        within=10,
        focus=SESSIONS,
    ),
    Mutation(
        "keepalive-adds-up",
        "sessions",
        "A keepalive lengthens the session from its end, not from now.",
        (
            Edit(
                "machine.sessions:Sessions._extend",
                "if expires > session.expires:",
                "expires = session.expires + session.ttl\n    if expires > session.expires:",
            ),
        ),
        within=10,
        focus=SESSIONS,
    ),
    Mutation(
        "members-outlive-their-session",
        "rings",
        "The ring members of a session that has ended stay.",
        (Value("machine.sessions:ENDING", ("wait", "transaction", "grant")),),
        within=10,
        focus=SESSIONS,
    ),
    Mutation(
        "transactions-outlive-their-session",
        "transactions",
        "The open transactions of a session that has ended stay open.",
        (
            Value("machine.sessions:ENDING", ("wait", "grant", "member")),
            Edit(
                "machine.transactions:Transactions._over",
                "record.session is not None and self._sessions.live(record.session) is None",
                "False",
            ),
        ),
        within=20,
        focus=SESSIONS,
    ),
    Mutation(
        "lease-from-the-wrong-moment",
        "locks",
        "A refreshed lease begins where the old one would have ended.",
        (
            Edit(
                "machine.grants:Grants.extend",
                "    extended = Grant(",
                "    if grant.expires is not None:\n"
                "        expires = grant.expires + ttl\n"
                "    extended = Grant(",
            ),
        ),
        within=10,
        focus=LOCKS,
    ),
    Mutation(
        "lease-ends-early",
        "locks",
        "A lease counts as over a fifth of a second before it is.",
        (
            Edit(
                "machine.grants:Grants.live",
                "grant.expires <= self._ledger.clock",
                "grant.expires - 200 <= self._ledger.clock",
            ),
        ),
        within=10,
        focus=LOCKS,
    ),
    Mutation(
        "deadlines-lost-at-a-restore",
        "snapshots",
        "What a snapshot holds of deadlines is not read, so nothing expires that was there.",
        (
            Edit(
                "machine.state:Machine._load",
                "self._deadlines.load(contents.armed)",
                "self._deadlines.load({})",
            ),
        ),
        focus=SNAPSHOTS,
    ),
    Mutation(
        "token-reused-after-a-restore",
        "snapshots",
        "After a restore tokens are counted from one again.",
        (
            Edit(
                "machine.state:Machine._load",
                "ledger.counters.update(head.counters)",
                'ledger.counters.update({**head.counters, "token": 0})',
            ),
        ),
        focus=SNAPSHOTS,
    ),
)
