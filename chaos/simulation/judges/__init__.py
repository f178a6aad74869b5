"""What must hold in every run, checked while it runs, by looking into the simulated nodes.

Each judge keeps books of its own of what it saw (`chaos.simulation.observer`), and compares.

| judge | what it holds | where |
|---|---|---|
| election safety | one leader in a term, by durable votes | `elections`, `votes` |
| leader append-only, log matching | the members' logs | `logs` |
| state machine safety | all apply the same; leaders hold it all; all go by the members that the log
says | `chronicle`, `logs`, `durability`, `membership` |
| state machine safety | members change step by step, snapshots know them | `configurations` |
| durability | what is applied is on the platters of a majority | `durability` |
| reads | a read sees what was acknowledged before it | `reads` |
| one holder, tokens | locks and their queues; rings | `locks`, `rings` |
| leases | nothing ends too early or too late | `due`, `sessions`, `clocks`, `calm` |
| decisions | one decision of a transaction, by the rule; remembered | `decisions`, `forgetting` |
| applied once | a request is executed once | `once` |
| answers | every caller hears one outcome, in time; who goes away leaves nothing | `answers`,
`once`, `waits` |
| bounds | nothing grows, nothing is left behind | `bounds`, `limits` |
| strangers | who is taken for a member is that one | `strangers` |
| full disks | nothing is appended that cannot be kept; who leads has room | `room` |
| liveness | a cluster that is left alone goes on | `calm`, `reigns` |
"""

from chaos.simulation.judges.assembly import all_judges

__all__ = ["all_judges"]
