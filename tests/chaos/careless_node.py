"""The product's command line on a disk that says "durable" of what it only wrote.

For the test of power cuts: a node that acknowledges what it did not sync must be found out.
"""

from __future__ import annotations

from raftcoord.cli import main
from raftcoord.consensus.edges import RealFile


def write_and_hope(self: RealFile, offset: int, data: bytes) -> None:
    self.seek(offset)
    self.write(data)


if __name__ == "__main__":
    RealFile.write_durable = write_and_hope  # type: ignore[method-assign]
    main(prog_name="raftcoord")
