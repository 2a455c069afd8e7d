"""The configuration in words: as a file people edit, and as a page of the manual."""

from __future__ import annotations

import json
from collections.abc import Iterator
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


_PAGE = f"""\
# Configuration

Every key of `config.toml`, its default, and what it may be; written from the code (`make reference`). `reelmill init`
writes such a file into a new root, with every key in it: remove what you do not change. `--config` names another file.

- **Problems** stop the start: all of them are listed, each with its key, its value and what is allowed. Unknown keys
  are refused.
- **The environment** goes before the file: `{ENVIRONMENT_PREFIX}RENDER__PRESET=fast` sets `render.preset`.
- **Profiles**: `[profiles.NAME]` takes any key of `[render]`, and `[profiles.NAME.mix]` of `[mix]`; what it does not
  say is as there. `tasks.profiles`, `tasks.category_profiles` and a story's `story.toml` say which are used
  ([profiles.md](profiles.md)).
- Workers read it when they start. Tasks that are made already keep what they say.
"""


def default_text(changes: dict[str, dict[str, Any]] | None = None) -> str:
    """The text of a configuration file, with the defaults or with some values changed (table → key → value)."""
    changes = changes or {}
    tables = [_table(name, section, changes.get(name, {})) for name, section in _sections()]
    return "\n".join([_HEADER, *tables, _PROFILES])


def page_text() -> str:
    """The page of the manual, in Markdown."""
    parts = [_PAGE]
    for name, section in _sections():
        rows = [
            f"| `{key}` | `{_toml(field.default)}` | {_in_cell(f'{field.description}{_allowed(field)}')} |"
            for key, field in section.model_fields.items()
        ]
        heading = [f"## [{name}]", "", section.__doc__ or "", "", "| key | default | |", "|---|---|---|"]
        parts.append("\n".join([*heading, *rows]) + "\n")
    return "\n".join(parts)


def _in_cell(words: str) -> str:
    """As it stands in a cell of a table; what is like a tag is none."""
    return words.replace("|", "\\|").replace("<", "&lt;").replace("\n", " ")


def _sections() -> Iterator[tuple[str, type[Section]]]:
    for name, field in Tables.model_fields.items():
        section = field.annotation
        assert isinstance(section, type)  # noqa: S101 - for the type checker: each field of Tables is one
        assert issubclass(section, Section)  # noqa: S101
        yield name, section


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
    low = next((_number(mark.ge) for mark in field.metadata if isinstance(mark, Ge)), None)
    high = next((_number(mark.le) for mark in field.metadata if isinstance(mark, Le)), None)
    if low and high:
        return f" From {low} to {high}."
    return f" At least {low}." if low else (f" At most {high}." if high else "")


def _number(value: Any) -> str:
    return f"{value:.0f}" if value == round(value) else f"{value:g}"


def _toml(value: Any) -> str:
    """A TOML value; for these types, but for tables, JSON's notation is TOML's."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_toml(key)} = {_toml(item)}" for key, item in value.items()) + "}"
    return json.dumps(list(value) if isinstance(value, tuple) else value, ensure_ascii=False)
