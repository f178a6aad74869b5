"""Deliberate faults in our own code, and who catches them."""
