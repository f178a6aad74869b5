"""A world of numbers: disks, clocks and networks that do as they are told, for the same code."""
