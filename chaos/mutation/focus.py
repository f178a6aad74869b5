"""Kinds of worlds in which certain faults of ours show: values that replace a profile's.

Short runs with the faults that matter; a mutation that needs a rare coincidence would else take
hundreds of seeds of the whole mix.
"""

from typing import Any

_SHORT: dict[str, Any] = {"seconds": 10.0, "pause": 0.5, "http_every": 0}

CALM: dict[str, Any] = {**_SHORT, "faults": {"kill": 1, "snapshot": 1}, "pause": 2.0}
"""Hardly any fault: what is broken shows by itself."""

KILLS: dict[str, Any] = {
    **_SHORT,
    "faults": {"kill": 3, "kill_leader": 4, "kill_all": 1, "pause_leader": 1, "transfer": 1},
}

POWER: dict[str, Any] = {
    **_SHORT,
    "load": 100.0,
    "sync": (0.005, 0.05),
    "faults": {"kill": 1, "power_cut": 2, "power_cut_of_majority": 2, "power_cut_of_all": 3},
}

UNSENT: dict[str, Any] = {
    **_SHORT,
    "load": 150.0,
    "pause": 0.3,
    "faults": {"slow_link": 4, "mute": 4, "kill_all": 4, "power_cut_of_majority": 2, "split": 1},
}
"""Leaders that come back as leaders, with entries that nobody else has."""

CUTS: dict[str, Any] = {
    **_SHORT,
    "load": 80.0,
    "faults": {
        "isolate_leader": 4,
        "split": 3,
        "deaf": 1,
        "mute": 2,
        "one_way": 1,
        "slow_link": 1,
        "pause_leader": 2,
        "kill_leader": 1,
    },
}

SNAPSHOTS: dict[str, Any] = {
    **_SHORT,
    "load": 80.0,
    "faults": {"snapshot": 4, "kill": 2, "power_cut": 2, "wipe": 2, "kill_for_long": 1},
}

WIPES: dict[str, Any] = {
    **_SHORT,
    "load": 80.0,
    "faults": {"wipe": 4, "isolate_leader": 3, "split": 2, "kill_leader": 2, "mute": 1},
}

DISKS: dict[str, Any] = {
    **_SHORT,
    "load": 80.0,
    "faults": {"failed_sync": 4, "power_cut": 2, "power_cut_of_all": 1, "kill": 1, "snapshot": 1},
}

FLIPS: dict[str, Any] = {
    **_SHORT,
    "load": 80.0,
    "faults": {"flip_entry": 4, "flip_journal": 1, "flip_snapshot": 4, "snapshot": 2, "kill": 1},
}

RESETS: dict[str, Any] = {
    **_SHORT,
    "faults": {"reset": 4, "storm": 2, "loss_with_reset": 2, "split": 1},
}

GARBAGE: dict[str, Any] = {
    **_SHORT,
    "load": 80.0,
    "faults": {"damaged_segment": 6, "garbage": 2, "reset": 1},
}

RIVALS: dict[str, Any] = {
    **_SHORT,
    "pause": 0.3,
    "faults": {"kill_leader": 4, "slow_link": 4, "slow_network": 2, "kill": 2, "drift": 1},
}
"""Members that campaign at the same time, and hear of each other late."""

MEMBERS: dict[str, Any] = {
    **_SHORT,
    "seconds": 15.0,
    "faults": {
        "add_member": 3,
        "remove_member": 3,
        "remove_leader": 2,
        "replace_member": 2,
        "isolate_leader": 3,
        "split": 3,
        "kill_leader": 2,
        "wipe": 1,
    },
}
