"""The desk at which the main worker's tests examine files serves the corpus as well."""

from __future__ import annotations

from tests.main_worker.conftest import desk, media

__all__ = ["desk", "media"]
