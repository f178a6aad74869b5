"""The test suite; its folders mirror the rooms of raftcoord. Imports nothing (see cluster)."""
