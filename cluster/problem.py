"""The one way a command of the cluster fails."""


class Problem(Exception):
    """What is wrong and what to do, in one sentence for the person at the terminal."""
