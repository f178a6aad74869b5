"""The log of a node: stderr, one line for each event, none for each request."""

import logging
import sys
import time


class _Lines(logging.Formatter):
    """`2025-01-01T12:00:00.123Z INFO raftcoord.node: n1: follower, leader n2, term 3`"""

    converter = staticmethod(time.gmtime)
    default_time_format = "%Y-%m-%dT%H:%M:%S"
    default_msec_format = "%s.%03dZ"

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")


def configure(level: int = logging.INFO) -> None:
    """Send all logs of this process to stderr."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Lines())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("raftcoord").setLevel(level)
    # Strangers who speak no HTTP are answered; aiohttp would note each of them with a traceback.
    logging.getLogger("aiohttp").setLevel(logging.CRITICAL)
