"""Where the real media lie: they belong to others, so they are no part of the repository."""

from __future__ import annotations

import os
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
REALMEDIA = Path(os.environ.get("REELMILL_REALMEDIA") or REPOSITORY.parent / "shared/realmedia")
