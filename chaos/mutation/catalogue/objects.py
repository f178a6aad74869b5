"""Faults in locks, rings, transactions and the simple protocol."""

from chaos.mutation.mutation import Mutation
from chaos.mutation.patching import Edit, Value

LOCKS = {"workloads": ("locks",)}
SESSIONS = {"workloads": ("sessions",)}
RINGS = {"workloads": ("rings",)}
TRANSACTIONS = {"workloads": ("transactions",)}
SIMPLE = {"workloads": ("simple",)}

MUTATIONS = (
    Mutation(
        "two-holders",
        "locks",
        "A lock that is held is given to the next who asks.",
        (
            Edit(
                "machine.locks:Locks._check_free",
                "if grant is not None or queued:",
                "if queued:",
            ),
        ),
        focus=LOCKS,
    ),
    Mutation(
        "token-counted-by-lock",
        "locks",
        "A lock that became free counts its tokens anew.",
        (
            Edit(
                "machine.grants:Grants.give",
                'token = ledger.next("token")',
                'token = ledger.next("token")\n'
                "    if token % 7 == 0 and token - 3 not in self.table.rows:\n"
                "        token -= 3",
            ),
        ),
        focus=LOCKS,
    ),
    Mutation(
        "release-without-the-token",
        "locks",
        "Whoever names a lock may release and refresh it.",
        (
            Edit(
                "machine.locks:Locks._held",
                "if lock is not None and lock.token == command.token:",
                "if lock is not None:",
            ),
            Edit(
                "machine.locks:Locks._held",
                "if grant is not None and grant.holder == holder:",
                "if grant is not None:",
            ),
            Edit(
                "machine.locks:Locks.refresh",
                "self.grants.extend(command.token, grant, ttl)",
                "self.grants.extend(self.table.rows[command.name].token, grant, ttl)",
            ),
        ),
        focus=LOCKS,
    ),
    Mutation(
        "last-come-first-served",
        "locks",
        "A lock goes to the last who waits.",
        (Edit("machine.locks:Locks._free", "sequence = lock.head\n", "sequence = lock.tail\n"),),
        within=10,
        focus=LOCKS,
    ),
    Mutation(
        "wait-end-ignored",
        "locks",
        "A wait goes on when its time is over.",
        (
            Edit(
                "machine.queue:Queues.append",
                'self._deadlines.arm(("wait", sequence), asked.ends)',
                'self._deadlines.arm(("wait", sequence), asked.ends + 60_000)',
            ),
            Edit(
                "machine.queue:Queues.lives",
                "any(asked.ends > clock for asked in waiter.asked)",
                "True",
            ),
            Edit(
                "machine.locks:Locks._grant_to",
                "if asked.ends <= clock",
                "if False",
            ),
            Edit(
                "machine.locks:Locks._grant_to",
                "for asked in waiter.asked if asked.ends > clock",
                "for asked in waiter.asked",
            ),
        ),
        within=10,
        focus=LOCKS,
    ),
    Mutation(
        "waiter-forgotten",
        "locks",
        "A lock that is released is free, whoever waits for it.",
        (
            Edit(
                "machine.locks:Locks._free",
                "while lock.head:",
                'while lock.head and reason != "released":',
            ),
        ),
        within=10,
        focus=LOCKS,
    ),
    Mutation(
        "dead-waiter-granted",
        "locks",
        "A waiter whose session has ended stays in the queue, and gets the lock.",
        (
            Value("machine.sessions:ENDING", ("transaction", "grant", "member")),
            Edit(
                "machine.queue:Queues.lives",
                "session is not None and self._sessions.live(session) is None",
                "False",
            ),
            Edit(
                "machine.grants:Grants.expires_in",
                "if grant.holder.session is not None:",
                "if grant.holder.session not in (None, *self._sessions.table.rows):\n"
                "        return 0\n"
                "    if grant.holder.session is not None:",
            ),
            Edit(
                "machine.sessions:Sessions.hold",
                "self._ledger.set(self.holdings[number], holding, True)",
                "if number in self.holdings and self.holdings[number] is not None:\n"
                "        self._ledger.set(self.holdings[number], holding, True)",
            ),
        ),
        within=30,
        focus=SESSIONS,
    ),
    Mutation(
        "ring-version-not-raised",
        "rings",
        "A member that is changed or leaves makes no new version of its ring.",
        (
            Edit(
                "machine.rings:Rings._next",
                "before.version + 1\n",
                "before.version + (self._inside[name].get(member_id) is None)\n",
            ),
        ),
        focus=RINGS,
    ),
    Mutation(
        "member-does-not-leave",
        "rings",
        "A member that leaves is still in the ring, with a new version.",
        (
            Edit(
                "machine.rings:Rings._place",
                "        ledger.unset(inside, member_id)\n",
                "",
            ),
        ),
        focus=RINGS,
    ),
    Mutation(
        "lookup-by-an-older-version",
        "rings",
        "A key is looked up in the ring as it was before its last change.",
        (
            Edit(
                "machine.ring_points:RingPoints.of",
                "range(kept[0] + 1, ring.version + 1)",
                "range(kept[0] + 1, ring.version)",
            ),
        ),
        focus=RINGS,
    ),
    Mutation(
        "decision-without-a-vote",
        "transactions",
        "A transaction commits although somebody has not voted.",
        (Edit("machine.transactions:Transactions.commit", "if missing:", "if False:"),),
        focus=TRANSACTIONS,
    ),
    Mutation(
        "auto-decides-too-early",
        "transactions",
        "With `auto` the first vote decides.",
        (
            Edit(
                "machine.transactions:Transactions.vote",
                'if record.decide == "auto" and not record.missing():',
                'if record.decide == "auto":',
            ),
        ),
        focus=TRANSACTIONS,
    ),
    Mutation(
        "abort-after-commit",
        "transactions",
        "A rollback takes a commit back.",
        (
            Edit(
                "machine.transactions:Transactions.rollback",
                'if record.decision == "commit":',
                "if False:",
            ),
        ),
        focus=TRANSACTIONS,
    ),
    Mutation(
        "timeout-not-applied",
        "transactions",
        "A transaction stays open when its time is over.",
        (
            Edit(
                "machine.transactions:Transactions._over",
                'return "timeout" if record.deadline <= self._ledger.clock else None',
                "return None",
            ),
            Edit(
                "machine.transactions:Transactions.expire",
                'self._decide(number, record, "abort", "timeout")',
                'self._deadlines.disarm(("transaction", number))',
            ),
        ),
        within=10,
        focus=TRANSACTIONS,
    ),
    Mutation(
        "timeout-too-early",
        "transactions",
        "A transaction is aborted three tenths of a second before its time.",
        (
            Edit(
                "machine.transactions:Transactions._over",
                "record.deadline <= self._ledger.clock",
                "record.deadline - 300 <= self._ledger.clock",
            ),
        ),
        within=10,
        focus=TRANSACTIONS,
    ),
    Mutation(
        "vote-overwritten",
        "transactions",
        "A participant may change its vote.",
        (
            Edit(
                "machine.transactions:Transactions.vote",
                "if given[name] not in (None, vote):",
                "if False:",
            ),
        ),
        within=30,
        focus=TRANSACTIONS,
    ),
    Mutation(
        "acknowledgement-lost",
        "transactions",
        "Of several acknowledgements only the last is kept.",
        (
            Edit(
                "machine.transactions:Transactions._acked",
                "item.acked or item.name == name",
                "item.name == name",
            ),
        ),
        within=10,
        focus=TRANSACTIONS,
    ),
    Mutation(
        "prepared-over",
        "simple",
        "A prepare takes the place of one that is not decided.",
        (
            Edit(
                "machine.simple:Simple.prepare",
                'if present is not None and present.state == "prepared":',
                "if False:",
            ),
        ),
        within=10,
        focus=SIMPLE,
    ),
    Mutation(
        "unlocked-by-any-value",
        "simple",
        "A lock of the simple protocol is freed by any value.",
        (
            Edit(
                "machine.locks:Locks.release_simple",
                " or grant.holder.owner != value",
                "",
            ),
        ),
        within=10,
        focus=SIMPLE,
    ),
)
