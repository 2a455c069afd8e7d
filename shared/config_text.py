"""Writes the configuration as a file people edit: every key, its default, one line of explanation."""

from __future__ import annotations

import json
from typing import Any, Literal, get_args, get_origin

from annotated_types import Ge, Le
from pydantic.fields import FieldInfo

from shared.config import ENVIRONMENT_PREFIX
from shared.settings import Section, Tables

_HEADER = f"""\
# Reelmill's configuration: every key with its default. Remove what you do not change.
# A problem in it stops the start with a list of all problems; unknown keys are refused.
# An environment variable overrides a key: {ENVIRONMENT_PREFIX}RENDER__PRESET=fast sets render.preset.
"""

_PROFILES = """\
# Named profiles: what each of them says goes before [render], and before [mix]. tasks.profiles, tasks.category_profiles
# and a story's story.toml say which are used.
# [profiles.shorts]
# resolution = "1080x1920"
# fit = "crop"
# [profiles.shorts.mix]
# loudness_lufs = -16.0
"""


def default_text(changes: dict[str, dict[str, Any]] | None = None) -> str:
    """The text of a configuration file, with the defaults or with some values changed (table → key → value)."""
    changes = changes or {}
    tables = [_HEADER]
    for name, field in Tables.model_fields.items():
        section = field.annotation
        assert isinstance(section, type)  # noqa: S101 - for the type checker: each field of Tables is one
        assert issubclass(section, Section)  # noqa: S101
        tables.append(_table(name, section, changes.get(name, {})))
    return "\n".join([*tables, _PROFILES])


def _table(name: str, section: type[Section], changes: dict[str, Any]) -> str:
    lines = [f"[{name}]"]
    if section.__doc__:
        lines.insert(0, f"# {section.__doc__}")
    for key, field in section.model_fields.items():
        lines += [f"# {field.description}{_allowed(field)}", f"{key} = {_toml(changes.get(key, field.default))}"]
    return "\n".join(lines) + "\n"


def _allowed(field: FieldInfo) -> str:
    if get_origin(field.annotation) is Literal:
        return " One of: " + ", ".join(get_args(field.annotation)) + "."
    low = next((f"{mark.ge:g}" for mark in field.metadata if isinstance(mark, Ge)), None)
    high = next((f"{mark.le:g}" for mark in field.metadata if isinstance(mark, Le)), None)
    if low and high:
        return f" From {low} to {high}."
    return f" At least {low}." if low else (f" At most {high}." if high else "")


def _toml(value: Any) -> str:
    """A TOML value; for these types, but for tables, JSON's notation is TOML's."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_toml(key)} = {_toml(item)}" for key, item in value.items()) + "}"
    return json.dumps(list(value) if isinstance(value, tuple) else value, ensure_ascii=False)
