"""Faults in what a member writes down and reads again."""

from chaos.mutation.focus import DISKS, FLIPS, KILLS, MEMBERS, POWER, SNAPSHOTS
from chaos.mutation.mutation import Mutation
from chaos.mutation.patching import Edit

MUTATIONS = (
    Mutation(
        "sync-skipped",
        "journal",
        "The journal writes, and never syncs.",
        (
            Edit(
                "consensus.stream:_write",
                "    file.write_durable(batch.offset, data)",
                "    file.seek(batch.offset)\n        file.write(data)",
            ),
        ),
        focus=POWER,
    ),
    Mutation(
        "failed-sync-ignored",
        "journal",
        "A member whose sync failed goes on as if it had not.",
        (
            Edit(
                "consensus.stream:Stream.taken",
                "if error is not None:\n        raise error",
                "pass",
            ),
        ),
        focus=DISKS,
        within=10,
    ),
    Mutation(
        "record-checksum-not-checked",
        "journal",
        "A record whose checksum is wrong is taken for what was written.",
        (
            Edit(
                "consensus.records:decode",
                "if crc32(payload, crc32(BOUND.pack(offset, length, kind), start)) != crc:",
                "if False:",
            ),
        ),
        within=20,
        focus=FLIPS,
    ),
    Mutation(
        "boot-not-counted",
        "journal",
        "Each start of a member has the number of the one before, so request ids come again.",
        (
            Edit(
                "consensus.journal:Journal._restart",
                "records.number(contents.boot + 1)",
                "records.number(contents.boot)",
            ),
            Edit("consensus.journal:Journal._restart", "contents.boot += 1", "pass"),
        ),
        focus=KILLS,
    ),
    Mutation(
        "log-behind-a-snapshot-lost-at-the-start",
        "journal",
        "A member that starts with a snapshot drops the entries behind it.",
        (
            Edit(
                "consensus.journal:Journal._restart",
                "if marker is not None and not contents.holds(marker.index, marker.term):",
                "if marker is not None:\n        contents.commit = marker.index",
            ),
        ),
        focus=SNAPSHOTS,
    ),
    Mutation(
        "suffix-lost-at-a-snapshot",
        "snapshots",
        "A follower that marks its own snapshot drops what it acknowledged and has not committed.",
        (
            Edit(
                "consensus.raft:Raft._care_for_snapshots",
                "        self._marked = None\n",
                "        self._marked = None\n"
                "        if self.role != LEADER:\n"
                "            self.cut_entries(self.commit + 1)\n"
                "            self.entries_cut(self.commit + 1)\n",
            ),
        ),
        focus=SNAPSHOTS,
    ),
    Mutation(
        "snapshot-claims-too-much",
        "snapshots",
        "A snapshot says that it holds one entry more than it does.",
        (
            Edit(
                "consensus.raft:Raft.take_snapshot",
                "        index=self.applied,",
                "        index=min(self.applied + 1, self.last().index),",
            ),
        ),
        within=10,
        focus=SNAPSHOTS,
    ),
    Mutation(
        "snapshot-without-its-configuration",
        "snapshots",
        "A member installs a snapshot and keeps the members that it knew before.",
        (
            Edit(
                "consensus.raft:Raft._install",
                "    self.restore_history(marker.index, meta.configuration, keep=keep)\n",
                "",
            ),
        ),
        within=30,
        focus={**MEMBERS, "faults": {**MEMBERS["faults"], "snapshot": 6, "kill_for_long": 3}},
        base="five",
    ),
    Mutation(
        "snapshot-without-its-state",
        "snapshots",
        "A member installs a snapshot and keeps the state that it had.",
        (
            Edit(
                "consensus.raft:Raft._install",
                "    self.machine.restore(chunks)\n",
                "    for _ in chunks:\n        pass\n",
            ),
        ),
        within=10,
        focus=SNAPSHOTS,
    ),
    Mutation(
        "snapshot-not-synced",
        "snapshots",
        "A snapshot is marked in the journal before the file is durable.",
        (
            Edit("consensus.snapshots:Snapshots.write", "        file.sync()\n", ""),
            Edit("consensus.snapshots:Snapshots.finish", "    incoming.file.sync()\n", ""),
        ),
        within=20,
        focus=SNAPSHOTS,
    ),
    Mutation(
        "snapshot-rename-not-synced",
        "snapshots",
        "A snapshot is marked in the journal before its name is durable.",
        (
            Edit(
                "consensus.snapshots:Snapshots._publish",
                "    self._disk.sync_dir(self._folder)\n",
                "",
            ),
        ),
        within=20,
        focus=SNAPSHOTS,
    ),
    Mutation(
        "snapshot-checksums-not-checked",
        "snapshots",
        "A damaged snapshot is taken for what was written.",
        (
            Edit(
                "consensus.snapshot_file:Reader._piece",
                "if _piece_crc(at, data) != crc:",
                "if False:",
            ),
            Edit(
                "consensus.snapshot_file:Reader.chunks",
                "if (second, size, crc) != (count, self.offset, crc_before):",
                "if False:",
            ),
            Edit(
                "consensus.snapshots:_verified",
                "if (reader.offset, reader.crc) != (marker.size, marker.crc):",
                "if False:",
            ),
            Edit(
                "machine.snapshot:_frames",
                "if crc32(body) != int.from_bytes(buffer[start + 4 : start + 8]):",
                "if False:",
            ),
        ),
        within=30,
        focus=FLIPS,
    ),
)
