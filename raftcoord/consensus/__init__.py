"""Raft for any machine: PySyncObj's core, with every part around it replaced.

`node.Node` is the face. The rules are pure functions (`elections`, `replication`,
`membership`); `core` binds them to PySyncObj; `journal`, `snapshots`, `transport` and `clock`
stand where the library's own parts stood.
"""
