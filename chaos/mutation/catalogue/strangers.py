"""Faults in how members tell each other from strangers."""

from typing import Any

from chaos.mutation.mutation import Mutation
from chaos.mutation.patching import Edit

STRANGERS: dict[str, Any] = {
    "seconds": 10.0,
    "pause": 0.5,
    "http_every": 0,
    "faults": {"intruder": 2, "garbage": 4, "reset": 1, "kill": 1},
}

MUTATIONS = (
    Mutation(
        "proof-not-checked",
        "transport",
        "Whoever says hello as a member is taken for it.",
        (
            Edit(
                "consensus.handshake:Handshake._check_proof",
                "if not hmac.compare_digest(self._proof(role), proof):",
                "if False:",
            ),
        ),
        focus=STRANGERS,
    ),
    Mutation(
        "challenge-always-the-same",
        "transport",
        "Callers are challenged with the same number each time, so that a record of one will do.",
        (
            Edit(
                "consensus.handshake:Handshake.__init__",
                "self._nonce = nonce(_NONCE)",
                "self._nonce = bytes(_NONCE)",
            ),
        ),
        within=10,
        focus=STRANGERS,
    ),
)
