"""Members that talk to each other over loopback."""

import asyncio

import pytest

from raftcoord.consensus.edges import RealEdges
from raftcoord.consensus.messages import AnyMessage, Vote
from raftcoord.consensus.transport import PeerAddress, PeerNode, PeerTransport
from tests.consensus.peers_world import (
    HOST,
    SECRET,
    Caller,
    Peer,
    World,
    frame,
    on_each_loop,
    rogue,
)

MESSAGE = {"type": "append", "term": 3, "entries": [[3, b"\x00payload"]], "digest": None}


async def pair(world: World, **options: object) -> tuple[Peer, Peer]:
    """Two members, linked."""
    first, second = await world.peer("n1", **options), await world.peer("n2", **options)
    first.knows(second)
    second.knows(first)
    await world.until(lambda: "n2" in first.net.connected and "n1" in second.net.connected)
    return first, second


@on_each_loop
async def test_three_members_are_linked_once_each(world: World):
    peers = [await world.peer(name) for name in ("n1", "n2", "n3")]
    for peer in peers:
        peer.knows(*(other for other in peers if other is not peer))
    await world.until(lambda: all(len(peer.net.connected) == 2 for peer in peers))
    for peer in peers:
        for other in peers:
            assert other is peer or peer.say(other.name, {"from": peer.name})
    await world.until(
        lambda: all(peer.heard(o.name) for peer in peers for o in peers if o is not peer)
    )
    for peer in peers:
        assert [told for told in peer.told if told[0] == "lost"] == []


@on_each_loop
async def test_messages_of_one_turn_arrive_in_order_in_one_frame(world: World):
    first, second = await pair(world)
    assert first.say("n2", MESSAGE, {"n": 1}, {"n": 2})
    await world.until(lambda: len(second.heard("n1")) == 3)
    assert second.heard("n1") == [MESSAGE, {"n": 1}, {"n": 2}]
    assert second.net.counters["frames_in"] == first.net.counters["frames_out"] == 1


@on_each_loop
async def test_nothing_leaves_before_flush(world: World):
    first, second = await pair(world)
    assert first.net.send(PeerNode("n2"), {"n": 1})
    assert first.net.counters["frames_out"] == 0
    first.net.flush()
    await world.until(lambda: second.heard("n1") == [{"n": 1}])


@on_each_loop
async def test_large_messages_both_ways(world: World):
    first, second = await pair(world)
    large = {"data": bytes(range(256)) * (12 << 10)}
    assert first.say("n2", large)
    assert second.say("n1", {"small": 1}, large)
    await world.until(lambda: len(second.heard("n1")) == 1 and len(first.heard("n2")) == 2)
    assert second.heard("n1") == [large]
    assert first.heard("n2") == [{"small": 1}, large]


@on_each_loop
async def test_a_message_beyond_the_bound_is_not_sent_and_harms_nobody(world: World):
    first, second = await pair(world)
    assert not first.say("n2", {"data": bytes(5 << 20)}, {"n": 1})
    await world.until(lambda: second.heard("n1") == [{"n": 1}])
    assert first.net.counters["dropped_sends"] == 1


@on_each_loop
async def test_to_nobody_nothing_is_sent(world: World):
    first, _ = await pair(world)
    assert not first.say("n3", {"n": 1})
    assert first.net.counters["dropped_sends"] == 1


@on_each_loop
async def test_structs_may_be_sent_and_come_out_where_the_shape_says_so(world: World):
    first, second = await pair(world, shape=AnyMessage)
    assert first.say("n2", Vote(term=9))
    await world.until(lambda: second.heard("n1") == [Vote(term=9)])


@on_each_loop
async def test_the_other_side_is_known_by_incarnation_and_boot(world: World):
    first = await world.peer("n1")
    second = await world.peer("n2", incarnation=2**63, boot=77)
    second.knows(first)
    await world.until(lambda: "n2" in first.net.connected)
    link = first.net.connection("n2")
    assert link is not None
    assert (link.id, link.incarnation, link.boot) == ("n2", 2**63, 77)
    assert first.net.connection("n3") is None


@on_each_loop
async def test_a_joiner_may_call_anybody(world: World):
    """Nobody lists n9; it is the higher id; still it is linked and heard."""
    first, joiner = await world.peer("n1"), await world.peer("n9", incarnation=4)
    unknown: list[tuple[str, int]] = []
    first.net.on_unknown_peer = lambda name, incarnation: unknown.append((name, incarnation))
    joiner.knows(first)
    await world.until(lambda: "n1" in joiner.net.connected)
    joiner.say("n1", {"type": "join"})
    await world.until(lambda: first.heard("n9") == [{"type": "join"}])
    first.say("n9", {"type": "welcome"})
    await world.until(lambda: joiner.heard("n1") == [{"type": "welcome"}])
    assert unknown == [("n9", 4)]


@on_each_loop
async def test_death_of_the_peer_is_told_at_once(world: World):
    first, second = await pair(world)
    second.net.close()
    await world.until(lambda: first.told[-1] == ("lost", "n2"))
    assert not first.say("n2", {"n": 1})


@on_each_loop
async def test_death_is_told_at_once_though_much_was_unsent(world: World):
    first, second = await world.peer("n1", write_limit=64 << 20), await world.peer("n2")
    caller = await Caller.member(first, "n2")
    await world.until(lambda: "n2" in first.net.connected)
    for _ in range(16):
        assert first.say("n2", {"data": bytes(1 << 20)})
    assert second.told == []
    caller.writer.write_eof()
    await world.until(lambda: first.told[-1] == ("lost", "n2"))


@pytest.mark.parametrize("died", ["n1", "n2"])
@on_each_loop
async def test_a_member_that_comes_back_is_linked_again(world: World, died: str):
    peers = dict(zip(("n1", "n2"), await pair(world), strict=True))
    stays = peers["n2" if died == "n1" else "n1"]
    address = peers[died].address
    peers[died].net.close()
    await world.until(lambda: stays.told[-1] == ("lost", died))
    again = await world.peer(died, boot=2, port=address.port)
    again.knows(stays)
    await world.until(lambda: died in stays.net.connected and stays.name in again.net.connected)
    link = stays.net.connection(died)
    assert link is not None
    assert link.boot == 2
    assert stays.told == [("linked", died), ("lost", died), ("linked", died)]


@on_each_loop
async def test_a_member_that_moved_is_found_at_its_new_address(world: World):
    first, second = await world.peer("n1", handshake_timeout=60), await world.peer("n2")
    callers: list[object] = []
    ended: list[bytes] = []

    async def stall(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        callers.append(writer)
        world.bell.set()
        await reader.readexactly(237)
        ended.append(await reader.read())
        world.bell.set()

    async with rogue(world, stall) as address:
        first.net.add_peer("n2", address)
        await world.until(lambda: len(callers) == 1)
        first.knows(second)
        await world.until(lambda: "n2" in first.net.connected and ended == [b""])


@on_each_loop
async def test_a_dropped_peer_keeps_its_connection_but_is_not_called_again(world: World):
    """A leader that removes itself needs answers from those who dropped it, until the commit."""
    first, second = await pair(world)
    for node, other in ((first, "n2"), (second, "n1")):
        node.net.drop_peer(other)
    assert first.say("n2", {"n": 1})
    await world.until(lambda: second.heard("n1") == [{"n": 1}])
    calls = first.net.counters["calls"], second.net.counters["calls"]
    link = first.net.connection("n2")
    assert link is not None
    link.close()
    await world.until(lambda: ("lost", "n2") in first.told and ("lost", "n1") in second.told)
    assert (first.net.counters["calls"], second.net.counters["calls"]) == calls
    first.knows(second)
    await world.until(lambda: "n2" in first.net.connected)


@on_each_loop
async def test_the_librarys_faces(world: World):
    first, second = await pair(world)
    first.net.addNode(PeerNode("n2"))
    first.net.dropNode(PeerNode("n2"))
    assert first.net.ready
    second.net.destroy()
    await world.until(lambda: first.told[-1] == ("lost", "n2"))


@on_each_loop
async def test_after_close_nothing_is_told(world: World):
    first, second = await pair(world)
    told = list(first.told)
    second.say("n1", {"n": 1})
    first.net.close()
    await world.until(lambda: second.told[-1] == ("lost", "n1"))
    assert first.told == told


@on_each_loop
async def test_the_rest_of_a_frame_is_not_delivered_when_a_message_ends_the_connection(
    world: World,
):
    peer = await world.peer("n1")
    peer.on_message = peer.net.close
    caller = await Caller.member(peer)
    caller.writer.write(frame({"n": 1}, {"n": 2}) + frame({"n": 3}))
    await caller.closed()
    assert peer.heard("n9") == [{"n": 1}]


@on_each_loop
async def test_a_peer_that_does_not_read_is_given_up(world: World):
    limit = 1 << 20
    peer = await world.peer("n1", write_limit=limit)
    await Caller.member(peer)
    await world.until(lambda: "n9" in peer.net.connected)
    accepted = 0
    while peer.say("n9", {"data": bytes(100_000)}):
        accepted += 100_000
        assert accepted < 64 << 20, "nothing bounds what waits"
    assert not peer.say("n9", {"n": 1})
    await world.until(lambda: peer.told[-1] == ("lost", "n9"))
    assert peer.net.counters["slow_peers"] == 1
    assert peer.net.counters["dropped_sends"] == 2


@on_each_loop
async def test_a_turn_beyond_the_bound_gives_the_peer_up(world: World):
    peer = await world.peer("n1", write_limit=1 << 20)
    await Caller.member(peer)
    await world.until(lambda: "n9" in peer.net.connected)
    sent = [peer.net.send(PeerNode("n9"), {"data": bytes(300_000)}) for _ in range(5)]
    assert sent == [True, True, True, False, False]


def test_a_peer_node_hashes_the_same_in_every_process():
    assert hash(PeerNode("n1")) == 3950597356
    assert PeerNode("n1") == PeerNode("n1") != PeerNode("n2")
    assert {PeerNode("n1"): 1}[PeerNode("n1")] == 1
    assert PeerNode("n1").id == str(PeerNode("n1")) == "n1"


@pytest.mark.parametrize(
    ("cluster", "node", "secret"),
    [("", "n1", SECRET), ("c" * 65, "n1", SECRET), ("c", "", SECRET), ("c", "n1", b"")],
)
def test_settings_that_do_not_fit(cluster: str, node: str, secret: bytes):
    with pytest.raises(ValueError):
        PeerTransport(
            RealEdges(),
            cluster=cluster,
            node=node,
            incarnation=1,
            boot=1,
            secret=secret,
            on_wake=lambda: None,
        )


@on_each_loop
async def test_a_members_id_that_does_not_fit(world: World):
    peer = await world.peer("n1")
    with pytest.raises(ValueError):
        peer.net.add_peer("n" * 65, PeerAddress(HOST, 1))
