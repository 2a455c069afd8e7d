"""What a path under ``raw/`` means: a drop of some kind, a misplaced file, or something to leave alone."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from pathlib import PurePosixPath

from shared.domain.errors import Rejection
from shared.domain.names import readable, safe_folder, safe_stem


class Kind(Enum):
    """The kinds of drop; the value is also the folder of the library."""

    LINK = "link"
    VOICE = "voice"
    TEXT = "text"
    VIDEO = "video"
    FRAME = "frame"
    MUSIC = "music"
    CARD = "card"
    SETTINGS = "settings"


SETTINGS_NAME = "story.toml"
TITLE, END = "title", "end"
"""What the cards of a story are called, without their suffix."""
SUFFIXES: dict[Kind, tuple[str, ...]] = {
    Kind.LINK: (".txt",),
    Kind.VOICE: (".mp3",),
    Kind.TEXT: (".txt", ".srt", ".vtt"),
    Kind.VIDEO: (".mp4", ".mov", ".m4v"),
    Kind.FRAME: (".mp4", ".mov", ".m4v"),
    Kind.MUSIC: (".mp3",),
    Kind.CARD: (".png", ".jpg", ".jpeg", ".webp", ".mp4", ".mov", ".m4v"),
    Kind.SETTINGS: (".toml",),
}
PLACES = (
    "raw/story/<category>/<story>/link/<name>.txt",
    "raw/story/<category>/<story>/voice/<chapter>.mp3",
    "raw/story/<category>/<story>/story.toml",
    "raw/story/<category>/<story>/title.png and end.png (or .jpg, .webp, .mp4, .mov), its title and end cards",
    "raw/story/<category>/<story>/voice/<chapter>.txt (or .srt or .vtt), the text of <chapter>.mp3",
    "raw/video/<category>/<name>.mp4",
    "raw/frame/<category>/<name>.mp4",
    "raw/music/<category>/<name>.mp3",
)


@dataclass(frozen=True)
class Drop:
    """One file an operator dropped in a right place.

    Attributes:
        kind: what it should be, by its folder.
        relative: its path below ``raw/``, exactly as dropped.
        category: folder name of its category in the library.
        story: folder name of its story, for what belongs to one.
        stem: its name in the library, without suffix.
        titles: category and, for a story, story as the operator wrote them.
    """

    kind: Kind
    relative: PurePosixPath
    category: str
    story: str | None
    stem: str
    titles: tuple[str, ...]

    @property
    def chapter(self) -> str | None:
        """What a voice and its text are called, so that they are found together; of a card, which one it is."""
        if self.kind is Kind.CARD:
            return self.relative.stem.lower()
        return safe_folder(self.relative.stem) if self.kind in (Kind.VOICE, Kind.TEXT) else None


@dataclass(frozen=True)
class Misplaced:
    """A file no rule of ``raw/`` covers, with the explanation its owner gets."""

    relative: PurePosixPath
    rejection: Rejection


@dataclass(frozen=True)
class LeftAlone:
    """A file that is none of our business (yet): hidden, temporary, or a note of ours."""

    relative: PurePosixPath


# What copying, downloading and synchronising programs write before they rename, and what stands beside a drop.
_TEMPORARY = re.compile(
    r"^\..*|.*~$|^~.*|.*\.(part|partial|crdownload|download|tmp|temp|filepart|opdownload|aria2|!ut|!qb|bc!|unfinished|sw[opx]|sha256|done|reason\.json)$"
    r"|^(thumbs\.db|desktop\.ini)$",
    re.IGNORECASE | re.DOTALL,
)
# Folders that systems and programs keep for themselves: hidden ones, bins and thumbnails of network storages, and what
# Safari downloads into. A folder that is merely called `Well.done` is somebody's category.
_NOT_OURS = re.compile(
    r"^\..*|.*\.(mp4|mov|m4v|mp3|txt|toml)\.download$|^[#~]snapshot$|^@eadir$|^[#@]recycle$|^\$recycle\.bin$"
    r"|^system volume information$|^lost\+found$",
    re.IGNORECASE | re.DOTALL,
)
_NOTES_DEPTH = 2  # `README.md` in raw/ and in raw/<kind>/ are written by `reelmill init`


def classify(relative: PurePosixPath) -> Drop | Misplaced | LeftAlone:
    """Judge a file by its path below ``raw/`` alone."""
    parts = relative.parts
    if _TEMPORARY.fullmatch(relative.name) or any(map(is_foreign_folder, parts[:-1])):
        return LeftAlone(relative)
    if len(parts) <= _NOTES_DEPTH and relative.name == "README.md":
        return LeftAlone(relative)
    kind = _kind_of(parts)
    if kind is None:
        return Misplaced(relative, _wrong_place(relative))
    if relative.suffix.lower() not in SUFFIXES[kind]:
        return Misplaced(relative, _wrong_suffix(relative, kind))
    titles = parts[1:3] if parts[0] == "story" else parts[1:2]
    return Drop(
        kind=kind,
        relative=relative,
        category=safe_folder(titles[0]),
        story=safe_folder(titles[1]) if len(titles) > 1 else None,
        stem=safe_stem(relative.stem),
        titles=titles,
    )


def is_foreign_folder(name: str) -> bool:
    """Whether a folder of this name is kept by a system or program for itself, so that nothing in it is a drop."""
    return _NOT_OURS.fullmatch(name) is not None


def _kind_of(parts: tuple[str, ...]) -> Kind | None:
    match parts:
        case ("video" | "frame" | "music" as folder, _, _):
            return Kind(folder)
        case ("story", _, _, "voice", name) if PurePosixPath(name).suffix.lower() in SUFFIXES[Kind.TEXT]:
            return Kind.TEXT
        case ("story", _, _, "link" | "voice" as folder, _):
            return Kind(folder)
        case ("story", _, _, name) if name == SETTINGS_NAME:
            return Kind.SETTINGS
        case ("story", _, _, name) if PurePosixPath(name).stem.lower() in (TITLE, END):
            return Kind.CARD
        case _:
            return None


def _wrong_place(relative: PurePosixPath) -> Rejection:
    shown = readable(str(relative))
    sentence = f"Nothing belongs at raw/{shown}."
    advice = "Put it into one of: " + "; ".join(PLACES) + "."
    match relative.parts:
        case ("video" | "frame" | "music" as folder, name):
            sentence = f"{readable(name)} lies directly in raw/{folder}/, so it has no category."
            advice = f"Put it into a category folder, such as raw/{folder}/nature/{readable(name)}."
        case ("video" | "frame" | "music" as folder, _, _, *_):
            sentence = f"raw/{shown} lies in a folder inside a category; categories have no sub-folders."
            advice = f"Put it directly into raw/{folder}/<category>/."
        case ("story", *_):
            sentence = f"raw/{shown} is not where a story's files are looked for."
            places = ", ".join((PLACES[1], PLACES[0], *PLACES[2:4]))
            advice = f"A story has two folders, its settings and its cards: {places}."
    return Rejection("wrong_place", sentence, advice)


def _wrong_suffix(relative: PurePosixPath, kind: Kind) -> Rejection:
    allowed = " or ".join(SUFFIXES[kind])
    found = readable(relative.suffix) or "no suffix"
    return Rejection(
        "wrong_kind",
        f"{readable(relative.name)} has {found}, but a file in this {kind.value} folder must be {allowed}.",
        f"Convert it to {allowed}, or move it to the folder of its kind.",
        {"suffix": readable(relative.suffix), "allowed": list(SUFFIXES[kind])},
    )
