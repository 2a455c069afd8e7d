"""The configuration: TOML and environment parsed once into one frozen value that reports all its problems together."""

from __future__ import annotations

import difflib
import os
import re
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError
from pydantic_core import ErrorDetails

from shared.domain.errors import ReelmillError
from shared.domain.names import readable, safe_folder
from shared.domain.task import DEFAULT_PROFILE, PROFILE_NAME
from shared.settings import HEARTBEATS_PER_LEASE, Profile, Tables

ENVIRONMENT_PREFIX = "REELMILL_"


class ConfigError(ReelmillError):
    """Everything that is wrong with a configuration, each problem naming key, value and what is allowed."""

    def __init__(self, source: str, problems: tuple[str, ...]) -> None:
        lines = "\n".join(f"  - {problem}" for problem in problems)
        count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
        super().__init__(f"{source}: {count}\n{lines}")
        self.source = source
        self.problems = problems


class UnknownProfile(ReelmillError):
    """A profile that the configuration does not have."""

    def __init__(self, name: str, known: Sequence[str]) -> None:
        near = difflib.get_close_matches(name, known, n=1)
        advice = f"did you mean {near[0]}?" if near else f"there is {', '.join(known)}"
        super().__init__(f'there is no profile "{readable(name)}" in the configuration; {advice}')


class Config(Tables):
    """The whole configuration of one process."""

    profiles: dict[str, Profile] = Field(default_factory=dict)

    @property
    def profile_names(self) -> tuple[str, ...]:
        """The names of all profiles, the one that is always there first."""
        return (DEFAULT_PROFILE, *self.profiles)

    def profiles_of(self, category: str) -> tuple[str, ...]:
        """The profiles of a category's videos, unless their story names others; `category` is a library name."""
        of_category = {safe_folder(name): names for name, names in self.tasks.category_profiles.items()}
        return of_category.get(category, self.tasks.profiles)

    @property
    def profiles_in_use(self) -> tuple[str, ...]:
        """The profiles of the videos of all categories; a story may name others."""
        by_category = (name for names in self.tasks.category_profiles.values() for name in names)
        return tuple(dict.fromkeys((*self.tasks.profiles, *by_category)))

    @staticmethod
    def table_of(name: str) -> str:
        """The table of the file that a profile stands in."""
        return "render" if name == DEFAULT_PROFILE else f"profiles.{name}"

    def profile(self, name: str) -> Profile:
        """Picture and sound of a profile.

        Raises:
            UnknownProfile: there is none of this name.
        """
        if name == DEFAULT_PROFILE:
            return Profile(render=self.render, mix=self.mix)
        try:
            return self.profiles[name]
        except KeyError:
            raise UnknownProfile(name, self.profile_names) from None


def load_config(path: Path | None, environ: Mapping[str, str] = os.environ) -> Config:
    """Read a configuration file (None: defaults only) and lay the environment's overrides over it.

    Raises:
        ConfigError: with every problem found, not only the first.
    """
    source = path.name if path else "configuration"
    values = _read_toml(path) if path else {}
    problems: list[str] = []
    for name, value in sorted(environ.items()):
        section, separator, key = name.removeprefix(ENVIRONMENT_PREFIX).lower().partition("__")
        if not name.startswith(ENVIRONMENT_PREFIX) or not separator:
            continue
        if not isinstance(table := values.setdefault(section, {}), dict):
            problems.append(f"{name}: [{section}] is not a table in {source}, so nothing in it can be overridden")
            continue
        table[key] = _environment_value(section, key, value)
    profiles = values.pop("profiles", {})
    try:
        config = Config(**dict(Tables.model_validate(values)))
    except ValidationError as error:
        problems += [_explain(detail) for detail in error.errors()]
        config = Config()
    else:
        found, wrong = _profiles(profiles, values)
        problems += wrong
        config = config.model_copy(update={"profiles": found})
    problems += _contradictions(config)
    if problems:
        raise ConfigError(source, tuple(problems))
    return config


def _profiles(tables: Any, values: Mapping[str, Any]) -> tuple[dict[str, Profile], list[str]]:
    """The profiles, each laid over the tables of the configuration, which are right; and what is wrong with them."""
    if not isinstance(tables, dict):
        return {}, [f"profiles = {readable(repr(tables))[:80]}: must be tables, such as [profiles.shorts]"]
    found, problems = {}, []
    for name, table in tables.items():
        where = f"profiles.{readable(name)}"
        if not re.fullmatch(PROFILE_NAME, name) or name == DEFAULT_PROFILE:
            problems.append(f'{where}: a name is small letters, digits, "-" and "_", and not "{DEFAULT_PROFILE}"')
        elif not isinstance(table, dict) or not isinstance(mix := table.get("mix", {}), dict):
            problems.append(f"{where}: must be a table with keys of [render], and of [mix] in [{where}.mix]")
        else:
            own = {key: value for key, value in table.items() if key != "mix"}
            laid_over = {"render": {**values.get("render", {}), **own}, "mix": {**values.get("mix", {}), **mix}}
            try:
                merged = Tables.model_validate(laid_over)
            except ValidationError as error:
                problems += [_explain(detail, where) for detail in error.errors()]
            else:
                found[name] = Profile(render=merged.render, mix=merged.mix, own=frozenset(own))
    return found, problems


def _contradictions(config: Config) -> list[str]:
    problems = []
    if config.worker.heartbeat_seconds * HEARTBEATS_PER_LEASE > config.worker.lease_seconds:
        problems.append(
            f"worker.heartbeat_seconds = {config.worker.heartbeat_seconds:g}: "
            f"must be at most a third of worker.lease_seconds ({config.worker.lease_seconds:g})"
        )
    alerts = config.alerts
    problems += [
        f'alerts.{key} = "": must be set where alerts.mail_to is'
        for key in ("mail_from", "smtp_host")
        if alerts.mail_to and not getattr(alerts, key)
    ]
    for name in config.profile_names:
        render, table = config.profile(name).render, config.table_of(name)
        if (render.encoder, render.codec) == ("videotoolbox", "av1"):
            problems.append(f'{table}.codec = "av1": must be h264 or hevc for {table}.encoder = "videotoolbox"')
        if (render.output_format, render.codec) == ("mov", "av1"):
            problems.append(f'{table}.output_format = "mov": must be mp4 or mkv for {table}.codec = "av1"')
        shorter = min(map(int, render.resolution.split("x")))
        if render.logo and render.logo_position != "center" and 2 * render.logo_margin >= shorter:
            problems.append(
                f"{table}.logo_margin = {render.logo_margin}: must be less than half of the shorter side of "
                f"{render.resolution}, or no logo would be seen"
            )
    wanted = {"profiles": config.tasks.profiles}
    wanted |= {f"category_profiles.{category}": names for category, names in config.tasks.category_profiles.items()}
    problems += [
        f"tasks.{readable(key)}: {UnknownProfile(name, config.profile_names)}"
        for key, names in wanted.items()
        for name in names
        if name not in config.profile_names
    ]
    folders: dict[str, str] = {}
    for category in config.tasks.category_profiles:
        if (other := folders.setdefault(safe_folder(category), category)) != category:
            problems.append(
                f"tasks.category_profiles: {readable(other)!r} and {readable(category)!r} are one category, "
                f"{safe_folder(category)}, in the library: keep one of them"
            )
    return problems


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise ConfigError(path.name, (f"there is no file {path}; name another with --config",)) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(path.name, (f"{path} is not valid TOML: {error}",)) from error
    except OSError as error:
        raise ConfigError(path.name, (f"{path} cannot be read: {error.strerror}",)) from error


def _environment_value(section: str, key: str, text: str) -> Any:
    """A value from the environment: TOML where it reads as TOML, else the text itself."""
    model = Tables.model_fields.get(section)
    annotation = getattr(model, "annotation", None)
    field = getattr(annotation, "model_fields", {}).get(key)
    if field is not None and isinstance(field.default, str):
        return text
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _explain(detail: ErrorDetails, profile: str | None = None) -> str:
    """A problem in words; `profile` is the table in which something of [render] or [mix] stands."""
    where = tuple(str(part) for part in detail["loc"])
    key = ".".join(where)
    if profile:
        key = f"{profile}.{key.removeprefix('render.')}"
    if detail["type"] == "extra_forbidden":
        return f"{readable(key)}: there is no such key{_suggestion(where, profile)}"
    value = detail["input"]
    shown = f'"{readable(value)}"' if isinstance(value, str) else repr(value)
    message = detail["msg"].removeprefix("Value error, ").removeprefix("Input should be ")
    verb = "" if message.startswith("must") else "must be "
    return f"{readable(key)} = {shown[:80]}: {verb}{message}"


def _suggestion(where: tuple[str, ...], profile: str | None) -> str:
    names = {
        f"{section}.{key}": key for section, field in Tables.model_fields.items() for key in _keys_of(field.annotation)
    }
    if len(where) == 1:
        near = difflib.get_close_matches(where[0], Tables.model_fields, n=1)
        return f"; did you mean [{near[0]}]?" if near else f"; the tables are {', '.join(Tables.model_fields)}"
    dotted = ".".join(where)
    near = difflib.get_close_matches(dotted, names, n=1, cutoff=0.6)
    same_word = [name for name, key in names.items() if key == where[-1]]
    if best := (near or same_word):
        return f"; did you mean {best[0].removeprefix('render.') if profile else best[0]}?"
    field = Tables.model_fields.get(where[0])
    return f"; [{where[0]}] has {', '.join(_keys_of(field.annotation))}" if field else ""


def _keys_of(section: Any) -> tuple[str, ...]:
    return tuple(getattr(section, "model_fields", {}))
