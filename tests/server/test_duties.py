"""What a leader does for the machine."""

from raftcoord.commands import AcquireLock, AdvanceClock, ClockAdvanced, Envelope, decode, encode
from raftcoord.machine.state import Machine
from raftcoord.server.duties import advance_payload


def test_the_entry_that_lets_time_pass_ends_what_is_due() -> None:
    machine = Machine()
    acquire = AcquireLock("a", "w", ttl=1_000)
    machine.apply(1, 1, 1_000, encode(Envelope("n1", 1, 1, 1, "", acquire)))
    assert machine.next_deadline() == 2_000
    applied = machine.apply(2, 1, 2_000, advance_payload(1))
    assert applied.reply == ClockAdvanced(2_000)
    assert [event.kind for event in applied.events] == ["lock.released"]


def test_it_has_no_effect_in_another_term() -> None:
    machine = Machine()
    machine.apply(1, 2, 1_000, advance_payload(1))
    assert machine.clock == 0
    command = decode(advance_payload(7)).command
    assert command == AdvanceClock(7)
