"""Tests of the front door: over HTTP, with a real machine, and a node that does what it is told."""
