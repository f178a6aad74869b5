"""Faults that the simulation found in the product, each as the story that showed it."""

from chaos.simulation.profiles import PROFILES, replace
from chaos.simulation.world import World
from raftcoord.consensus.node import Node, Outcome


def quiet_world(members: int) -> World:
    """Members without faults and without clients."""
    world = World(1, profile=replace(PROFILES["five"], members=members, spares=0, clients=0))
    world.begin()
    world.until(lambda: _settled(world), 10, "a leader whose first entry is everywhere")
    return world


def _settled(world: World) -> bool:
    leader = world.leader()
    if leader is None or len(world.alive()) < len(world.members):
        return False
    applied = node(world, leader).applied
    return applied > 1 and {node(world, name).applied for name in world.members} == {applied}


def node(world: World, name: str) -> Node:
    found = world.members[name].node
    assert found is not None
    return found


def cut(world: World, names: list[str], others: list[str]) -> None:
    for name in names:
        for other in others:
            if name != other:
                world.loop.net.cut(name, other)


def knows(world: World, name: str, learner: str) -> bool:
    """Whether a member's configuration has the learner's new folder, committed or not."""
    members = node(world, name).raft.history.current.members
    return learner in members and members[learner].incarnation != 0


def test_a_wiped_member_whose_taking_in_was_not_committed_asks_again() -> None:
    world = quiet_world(5)
    leader = world.leader()
    assert leader is not None
    wiped = next(name for name in sorted(world.members) if name != leader)
    others = [name for name in sorted(world.members) if name not in (leader, wiped)]
    world.wipe(wiped)
    world.start(wiped)
    # Only the leader and the wiped one hold the entry that takes it in; then they are apart.
    world.until(lambda: world.members[wiped].node is not None, 5, "the wiped member runs")
    cut(world, [leader], others)
    cut(world, [wiped], others)
    world.until(lambda: knows(world, wiped, wiped), 5, "the wiped member sees itself taken in")
    assert not any(knows(world, name, wiped) for name in others)
    cut(world, [leader], [wiped])
    world.until(lambda: world.leader() in others, 10, "the others have a leader")
    world.loop.net.heal_all()

    world.until(node(world, wiped).raft.is_voter, 30, "the wiped member votes again")
    assert all(knows(world, name, wiped) for name in others)
    world.loop.close()


def test_a_keepalive_that_was_answered_counts_from_when_it_was_asked() -> None:
    """While nothing could be committed, a lease that was due kept the time of all that came: a
    session ended up to seconds before what its answered keepalives promised."""
    world = quiet_world(3)
    leader = world.leader()
    assert leader is not None
    down, full = (name for name in world.members if name != leader)
    space = node(world, full).raft.log._space
    promised: list[float] = []
    over: list[float] = []

    async def holder() -> None:
        agent = world.clients.agent("holder", nodes=(leader,))
        session = (await agent.ask("session.open", ttl=2.0)).answer["id"]
        await agent.ask("lock.acquire", name="due meanwhile", owner="o", ttl=0.3)
        world.kill(down)
        work, space.work, space.full = space.work, lambda: None, True

        def room() -> None:
            space.full, space.work = False, work

        world.loop.later(world.loop.time() + 2.3, room)
        keeping = [world.loop.create_task(keep(number, session)) for number in range(6)]
        for task in keeping:
            await task
        while (await agent.ask("session.read", id=session)).ok:
            await agent.pause(0.02)
        over.append(world.loop.time())

    async def keep(number: int, session: int) -> None:
        agent = world.clients.agent(f"keeper{number}", nodes=(leader,))
        await agent.pause(0.4 + 0.3 * number)
        asked = world.loop.time()
        if (await agent.ask("session.keepalive", id=session)).ok:
            promised.append(asked + 2.0)

    with world.loop.host("caller"):
        task = world.loop.create_task(holder())
    world.until(task.done, 20, "the session ends")
    assert len(promised) > 3
    assert over[0] >= max(promised)
    world.loop.close()


def test_a_member_that_was_removed_while_it_was_cut_off_stays_out() -> None:
    """It holds the entry that took it in and does not know that it was committed."""
    world = quiet_world(5)
    leader = world.leader()
    assert leader is not None
    removed = next(name for name in sorted(world.members) if name != leader)
    others = [name for name in sorted(world.members) if name != removed]
    world.wipe(removed)
    world.start(removed)
    world.until(lambda: world.members[removed].node is not None, 5, "the wiped member runs")
    world.until(lambda: knows(world, removed, removed), 5, "it sees itself taken in")
    cut(world, [removed], others)
    world.run(1.0)
    world.kill(removed)
    told: list[Outcome] = []
    with world.loop.host(leader):
        node(world, leader).remove(removed, told.append)
    world.until(lambda: bool(told), 5, "it is removed")
    assert told[0].kind == "applied"
    world.loop.net.heal_all()
    world.start(removed)
    linked = lambda: removed in node(world, leader)._net.connected  # noqa: E731
    world.until(linked, 20, "it is connected again")
    world.run(5.0)
    assert removed not in node(world, leader).raft.history.current.members
    world.loop.close()
