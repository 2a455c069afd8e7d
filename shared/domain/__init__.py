"""The decisions: pure values and functions. Standard library only, no clock, no filesystem, no process."""
