"""What is generated from the code is what the repository holds."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from console.reference import generated
from shared.config import load_config

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(("path", "text"), list(generated()), ids=lambda value: str(value)[:60])
def test_a_generated_file_is_up_to_date(path: Path, text: str) -> None:
    """`make reference` would change nothing."""
    assert (REPOSITORY / path).read_text("utf-8") == text


def test_the_example_root_uses_the_repository_s_configuration() -> None:
    """project_root/config.toml is a link to the one file people edit."""
    link = REPOSITORY / "project_root/config.toml"
    assert link.is_symlink()
    assert link.resolve() == REPOSITORY / "config.toml"


def test_the_repository_s_configuration_is_the_defaults() -> None:
    """config.toml parses, holds every key, and changes nothing."""
    path = REPOSITORY / "config.toml"
    defaults = load_config(None, {})
    assert load_config(path, {}) == defaults
    assert tomllib.loads(path.read_text("utf-8")) == defaults.model_dump(mode="json", exclude={"profiles"})
