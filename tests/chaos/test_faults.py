"""Every fault happens in a cluster that works, and the cluster comes right again after it."""

import pytest

from chaos.simulation.faults import FAULTS
from tests.chaos.fault_world import Scene

NEEDS_FIVE = {"add_member", "remove_member", "remove_leader", "replace_member"}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_cluster_bears_it(fault: str) -> None:
    scene = Scene("five" if fault in NEEDS_FIVE else "three")
    if fault == "flip_snapshot":
        scene.do("snapshot")
        scene.run(0.5)
    said = scene.do(fault, seed=3)
    scene.run(1.5)
    assert said or (fault, "over") in scene.told or any(name == fault for name, _ in scene.told)
    scene.settle()
    assert scene.net.is_whole
    assert set(scene.world.alive()) == set(scene.world.members)


def test_three_members_have_no_spare_and_none_too_many() -> None:
    scene = Scene("three")
    for fault in sorted(NEEDS_FIVE):
        assert not any(scene.does(fault, seed) for seed in range(10))
