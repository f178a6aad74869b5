"""The three-node cluster on one machine, and the bootstrap every command of this tree goes through.

Imports nothing: `python3 -m cluster` must start on a bare Python.
"""
