"""``story.toml``: what a story wants of its videos, written by the operator who drops it."""

from __future__ import annotations

import difflib
import tomllib
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from shared.domain.media import check_language, check_resolution
from shared.domain.names import readable


class StorySettings(BaseModel):
    """The settings of one story; what is left out is as the configuration says."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    priority: int | None = Field(None, ge=0, le=100, description="Priority of its tasks; higher goes first.")
    clips: str | None = Field(None, min_length=1, description="Category its clips and music come from first.")
    music: bool | None = Field(None, description="false: no music; true: wait until there is some.")
    frame: bool | None = Field(None, description="false: no decorative frame over its videos.")
    cards: bool | None = Field(None, description="false: no title and end cards in its videos.")
    language: Annotated[str, AfterValidator(check_language)] | None = Field(
        None, description="Language of its voices, as ISO 639-2 writes it: eng, deu, jpn."
    )
    captions: Literal["track", "burned"] | None = Field(
        None, description="Its captions as a track of the video, or drawn into the picture; profiles as above."
    )
    resolution: Annotated[str, AfterValidator(check_resolution)] | None = Field(
        None, description="Size of its videos, WIDTHxHEIGHT, but for profiles that have one of their own."
    )
    profiles: tuple[str, ...] | None = Field(
        None, min_length=1, strict=False, description="A video is made by each of these profiles of the configuration."
    )


class StorySettingsError(ValueError):
    """Everything that is wrong with a ``story.toml``, in words for its author."""


def parse_settings(content: bytes) -> StorySettings:
    """Read a ``story.toml``.

    Raises:
        StorySettingsError: naming every problem: key, value and what is allowed.
    """
    try:
        values = tomllib.loads(content.decode("utf-8-sig"))
        return StorySettings.model_validate(values)
    except UnicodeDecodeError as error:
        raise StorySettingsError(f"it is not UTF-8 text (byte {error.start + 1} does not fit)") from error
    except ValidationError as error:
        raise StorySettingsError("; ".join(_problem(detail["loc"], detail) for detail in error.errors())) from error
    except (ValueError, RecursionError) as error:  # also a number of thousands of digits
        raise StorySettingsError(f"it is not valid TOML: {error}") from error


def _problem(where: tuple[int | str, ...], detail: object) -> str:
    assert isinstance(detail, dict)  # noqa: S101 - for the type checker: pydantic's details are dictionaries
    key = ".".join(map(str, where))
    if detail["type"] == "extra_forbidden":
        near = difflib.get_close_matches(key, StorySettings.model_fields, n=1)
        known = f"did you mean {near[0]}?" if near else f"the keys are {', '.join(StorySettings.model_fields)}"
        return f"{readable(key)}: there is no such key; {known}"
    message = str(detail["msg"]).removeprefix("Value error, ").removeprefix("Input should be ")
    verb = "" if message.startswith("must") else "must be "
    return f"{readable(key)} = {readable(repr(detail['input']))[:80]}: {verb}{message}"
