"""Tests of the three small classes against the front door."""
