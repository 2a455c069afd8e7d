"""Examines a drop: is it what it claims to be, whole, and fit to be used? Every "no" is a DropRefused."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from main_worker.arrival.ready import Ready
from main_worker.arrival.unfinished import CHECKSUM_MISMATCH
from main_worker.checks.cage import Cage, refused, too_costly
from main_worker.checks.cards import examine_card
from main_worker.checks.frames import examine_frame
from main_worker.checks.loudness import normalise
from main_worker.checks.pictures import examine_clip
from main_worker.checks.sounds import examine_voice
from main_worker.checks.texts import MAX_BYTES as MAX_TEXT_BYTES
from main_worker.checks.texts import write_text
from main_worker.links.addresses import parse_link_file
from main_worker.links.article import Article, fetch_article
from shared.child import ChildTimeout, ChildTooCostly
from shared.domain.drop import Drop, Kind
from shared.domain.errors import DropRefused, MachineTrouble, Stopped, ToolInDoubt
from shared.domain.media import AudioFacts, LoudnessFacts, PictureFacts, VideoFacts
from shared.domain.names import readable
from shared.records.story import StorySettings, StorySettingsError, parse_settings

_MAX_LINK_BYTES = 1_000_000
_BLOCK = 1 << 20


@dataclass(frozen=True)
class Content:
    """The bytes of a file."""

    sha256: str
    size: int


@dataclass(frozen=True)
class Examined:
    """A drop that passed, with what was learnt.

    Attributes:
        dropped: the bytes as dropped.
        made: for music and texts, the file that was made of it, in staging, and its bytes.
        articles: for links, the texts found.
    """

    dropped: Content
    video: VideoFacts | None = None
    picture: PictureFacts | None = None
    audio: AudioFacts | None = None
    loudness: LoudnessFacts | None = None
    made: tuple[Path, Content] | None = None
    articles: tuple[Article, ...] = ()
    settings: StorySettings | None = None


@dataclass(frozen=True)
class Examiner:
    """Everything an examination needs; one value serves all worker threads."""

    cage: Cage
    staging: Path

    def examine(self, ready: Ready, drop: Drop, known: Callable[[Content], None]) -> Examined:
        """Examine a complete drop.

        Args:
            known: called with the content before any costly work; raises DropRefused for a duplicate.

        Raises:
            DropRefused: with the reason its owner will read.
            MachineTrouble, OSError: this machine is at fault; the drop stays where it is.
            Stopped: the worker is ending.
        """
        content = self.read(ready)
        known(content)
        try:
            return self._by_kind(ready, drop, content)
        except ChildTimeout as error:
            if error.is_idle:
                self._read_again(ready, content)
                raise ToolInDoubt(f"the tool that checks it {error}, and hardly used the processor") from error
            advice = "It takes too long to decode; re-encode it, or raise ingest.check_timeout_seconds."
            refusal = refused("too_slow", f"Checking it {error}.", advice)
        except ChildTooCostly as error:
            refusal = too_costly(error, self.cage.config)
        except DropRefused as error:
            refusal = error
        except ToolInDoubt:
            self._read_again(ready, content)
            raise
        self._read_again(ready, content)
        raise refusal

    def read(self, ready: Ready) -> Content:
        """Read a drop to its end, before anything costly is done with it.

        Raises:
            DropRefused: it is empty, too large, or not what its ``.sha256`` says.
            OSError: it cannot be read.
        """
        self._check_bytes(ready.identity.size)
        with ready.open() as stream:
            content = _content_of(stream, self.cage.stopping)
        if ready.sha256 not in (None, content.sha256):
            raise refused(
                CHECKSUM_MISMATCH,
                "The file is not the one its .sha256 speaks of: its content has another hash.",
                "Copy it again from its source, or drop it without the .sha256 file.",
                sha256=content.sha256,
                wanted=ready.sha256,
            )
        return content

    def _read_again(self, ready: Ready, content: Content) -> None:
        """Raise MachineTrouble where a drop no longer gives the bytes it gave before it was refused.

        A mount that goes away under a decoder looks like a damaged file, and what the decoder says is no
        proof: it reports input/output errors for files that are merely broken, too.
        """
        try:
            with ready.open() as stream:
                again = _content_of(stream, self.cage.stopping)
        except OSError as error:
            raise MachineTrouble(f"cannot read {ready.relative} to its end: {error.strerror}") from error
        if again != content:
            raise MachineTrouble(f"{ready.relative} gives other bytes each time it is read; check the disk")

    def _check_bytes(self, size: int) -> None:
        limit = self.cage.config.ingest.max_file_bytes
        if size == 0:
            raise refused("empty", "The file is empty (0 bytes).", "Copy it again.")
        if size > limit:
            sentence = f"The file has {size} bytes; at most {limit} are accepted (ingest.max_file_bytes)."
            raise refused("too_large", sentence, "Make it smaller, or raise the limit.", bytes=size)

    def _by_kind(self, ready: Ready, drop: Drop, content: Content) -> Examined:
        match drop.kind:
            case Kind.VIDEO | Kind.FRAME | Kind.CARD:
                return self._seen(ready, drop.kind, content)
            case Kind.VOICE:
                audio, loudness = examine_voice(self.cage, ready.path)
                return Examined(content, audio=audio, loudness=loudness)
            case Kind.MUSIC:
                target = self.staging / f"{secrets.token_hex(8)}.mp3"
                audio, loudness = normalise(self.cage, ready.path, target)
                made = (target, content_of(target, self.cage.stopping))
                return Examined(content, audio=audio, loudness=loudness, made=made)
            case Kind.TEXT:
                text = self._text(ready)
                return Examined(content, made=(text, content_of(text)))
            case Kind.LINK:
                return Examined(content, articles=self._articles(ready))
            case Kind.SETTINGS:
                return Examined(content, settings=self._settings(ready))

    def _seen(self, ready: Ready, kind: Kind, content: Content) -> Examined:
        if kind is Kind.FRAME:
            return Examined(content, video=examine_frame(self.cage, ready.path, self.staging))
        facts = (examine_card if kind is Kind.CARD else examine_clip)(self.cage, ready.path)
        return Examined(content, picture=facts) if isinstance(facts, PictureFacts) else Examined(content, video=facts)

    def _text(self, ready: Ready) -> Path:
        size = ready.identity.size
        if size > MAX_TEXT_BYTES:
            sentence = f"The text of a voice has at most {MAX_TEXT_BYTES} bytes; this one has {size}."
            raise refused("bad_text", sentence, "Drop the text of this one voice only.", bytes=size)
        with ready.open() as stream:
            return write_text(self.cage, ready.relative.suffix.lower(), stream.read(MAX_TEXT_BYTES), self.staging)

    def _articles(self, ready: Ready) -> tuple[Article, ...]:
        links, stopping = self.cage.config.links, self.cage.stopping
        return tuple(fetch_article(address, links, stopping, self.staging) for address in self.addresses(ready))

    def addresses(self, ready: Ready) -> tuple[str, ...]:
        """The addresses in a link file; nothing is fetched yet.

        Raises:
            DropRefused: it is no link file.
        """
        if ready.identity.size > _MAX_LINK_BYTES:
            sentence = f"A link file holds one address per line; this one has {ready.identity.size} bytes."
            raise refused("bad_link_file", sentence, "Drop a text file with the addresses only.")
        with ready.open() as stream:
            return parse_link_file(stream.read(_MAX_LINK_BYTES))

    def _settings(self, ready: Ready) -> StorySettings:
        with ready.open() as stream:
            content = stream.read(_MAX_LINK_BYTES)
        try:
            return parse_settings(content)
        except StorySettingsError as error:
            sentence = f"The story's settings cannot be used: {readable(str(error))}."
            raise refused("bad_settings", sentence, "Correct the file and drop it again.") from error


def content_of(path: Path, stopping: Callable[[], bool] = lambda: False) -> Content:
    """Hash and size of a file's bytes.

    Raises:
        Stopped: `stopping` turned true; a large file takes minutes.
    """
    with path.open("rb") as stream:
        return _content_of(stream, stopping)


def _content_of(stream: IO[bytes], stopping: Callable[[], bool]) -> Content:
    digest, size = hashlib.sha256(), 0
    while block := stream.read(_BLOCK):
        if stopping():
            raise Stopped("stopped on request")
        digest.update(block)
        size += len(block)
    return Content(digest.hexdigest(), size)
