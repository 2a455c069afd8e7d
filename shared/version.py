"""The version of this program, as installed."""

from __future__ import annotations

from importlib.metadata import version

PROGRAM = version("reelmill")

RULES = 1
"""Version of the rules by which workers share the tasks of a root (docs/protocol.md)."""
