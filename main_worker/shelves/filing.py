"""How a checked drop gets into the library and out of ``raw/``, so that a crash at any step loses nothing.

The order is: sidecar, then the file under its final name (never replacing one), then the dropped
original goes. A crash in between leaves a sidecar without a file, which the next start removes, or an
original whose file is in place, which is recognised by the identity in the sidecar.
"""

from __future__ import annotations

import hashlib
from collections.abc import Container, Iterator
from contextlib import contextmanager
from itertools import chain, count
from pathlib import Path

from main_worker.arrival.ready import Ready
from main_worker.arrival.settling import Identity
from main_worker.checks.examination import Content, Examined
from main_worker.links.chunks import count_words, split
from main_worker.shelves.carrying import carry, deliver
from main_worker.shelves.library import Library, place_of
from shared.domain.drop import Drop, Kind
from shared.domain.errors import DropRefused, Rejection
from shared.domain.layout import Layout, sidecar_of
from shared.domain.names import readable, short_hash
from shared.files import is_there, make_folder, remove_same, write_atomic
from shared.records.record import RecordError, utc_now
from shared.records.sidecar import Origin, Sidecar


class Filing:
    """Files drops of one root. Used by one thread only: names are chosen without races."""

    def __init__(self, layout: Layout, library: Library, chunk_words: int) -> None:
        self._layout = layout
        self._library = library
        self._chunk_words = chunk_words

    def refuse_duplicate(self, ready: Ready, drop: Drop, content: Content) -> None:
        """Raise DropRefused for content the library already has, unless it came from this very drop."""
        found = self._same(drop, content)
        if found is None or self._is_leftover(found[1], ready):
            return
        path, sidecar = found
        where = str(self._layout.relative(path))
        advice = "Nothing needs to be done: the library has it. Delete this copy."
        if self._library.is_retired(where):
            advice = f"The library has it, but it is retired; bring it back with: reelmill retire --undo {where}"
        raise DropRefused(
            Rejection(
                "duplicate",
                f"It is a duplicate of {where}, which was dropped as {readable(sidecar.origin.path)}.",
                advice,
                {"duplicate_of": where, "sha256": content.sha256},
            )
        )

    def file(self, ready: Ready, drop: Drop, examined: Examined, copy: Path | None = None) -> list[Path]:
        """File a checked drop and take it out of ``raw/``; returns the library files made.

        Args:
            copy: the drop's copy, where one rename of itself will not do
                (see :func:`main_worker.shelves.carrying.bring`).

        Raises:
            DropRefused: its content came in by another drop meanwhile.
            DropChanged: it was written to while it was being checked.
            OSError: the machine's trouble; the drop is still in ``raw/``.
        """
        self.refuse_duplicate(ready, drop, examined.dropped)
        ready.check_unchanged()
        if found := self._same(drop, examined.dropped):
            ready.remove_companions()
            remove_same(ready.path, ready.is_at)  # a crash came between filing it and removing it
            return [found[0]]
        if examined.articles:
            return self._file_articles(ready, drop, examined, copy)
        if examined.made:
            return [self._file_made(ready, drop, examined, *examined.made)]
        return [self._file_dropped(ready, drop, examined, copy)]

    # -- one file per drop -----------------------------------------------------------------------

    def _file_dropped(self, ready: Ready, drop: Drop, examined: Examined, copy: Path | None) -> Path:
        target = self.free_name(drop, examined)
        sidecar = self.sidecar(ready, drop, examined, examined.dropped)
        with self._recorded(target, sidecar):
            ready.remove_companions()
            carry(ready, target, copy)
        return target

    def _file_made(self, ready: Ready, drop: Drop, examined: Examined, staged: Path, made: Content) -> Path:
        target = self.free_name(drop, examined)
        sidecar = self.sidecar(ready, drop, examined, made)
        with self._recorded(target, sidecar):
            deliver(staged, target)
        ready.remove_companions()
        remove_same(ready.path, ready.is_at)  # one that has changed meanwhile is a new drop
        return target

    @contextmanager
    def _recorded(self, target: Path, sidecar: Sidecar) -> Iterator[None]:
        """Write the record, have the file come under its name, and index it; without the file the record goes."""
        self._write(target, sidecar)
        try:
            yield
        except FileExistsError:
            sidecar_of(target).unlink(missing_ok=True)  # that file is somebody else's
            raise
        except BaseException:
            if is_there(target):  # it is filed; only that it is durable could not be confirmed
                self._library.add(target, sidecar)
            else:
                sidecar_of(target).unlink(missing_ok=True)
            raise
        self._library.add(target, sidecar)

    # -- texts -----------------------------------------------------------------------------------

    def _file_articles(self, ready: Ready, drop: Drop, examined: Examined, copy: Path | None) -> list[Path]:
        """Write the chunks of all articles, then file the link file itself, which makes them count as done."""
        story = drop.story or ""
        self._remove_chunks_of(drop, examined.dropped)
        number = max(self._chunk_numbers(drop), default=0)
        chunks = []
        for article in examined.articles:
            for text in split(article.text, self._chunk_words):
                number += 1
                target = self._layout.chunk(drop.category, story, number)
                content = (text.rstrip() + "\n").encode()
                bytes_of_it = Content(hashlib.sha256(content).hexdigest(), len(content))
                written = self.sidecar(ready, drop, examined, bytes_of_it).changed(
                    address=article.final_address, title=article.title, words=count_words(text)
                )
                self._write(target, written)
                write_atomic(target, content)
                chunks.append(target)
        return [*chunks, self._file_dropped(ready, drop, examined, copy)]

    def _remove_chunks_of(self, drop: Drop, content: Content) -> None:
        """Remove what an interrupted filing of the same link file left behind."""
        folder = self._layout.story(drop.category, drop.story or "")
        for record in folder.glob("chunk_*.txt.json"):
            try:
                sidecar = Sidecar.read(record)
            except RecordError:  # not ours to judge; its number stays taken
                continue
            if sidecar.origin.sha256 == content.sha256:
                record.with_name(record.name.removesuffix(".json")).unlink(missing_ok=True)
                record.unlink()

    def _chunk_numbers(self, drop: Drop) -> list[int]:
        folder = self._layout.story(drop.category, drop.story or "")
        stems = (path.stem.removeprefix("chunk_") for path in folder.glob("chunk_*.txt"))
        return [int(stem) for stem in stems if stem.isdigit()]

    # -- steps -----------------------------------------------------------------------------------

    def _same(self, drop: Drop, content: Content) -> tuple[Path, Sidecar] | None:
        """The library file with this content: there and whole by now, since the drop may be removed for its sake."""
        relative = self._library.with_content(place_of(drop), content.sha256)
        if relative is None:
            return None
        try:
            path, sidecar = self._library.read(relative)
            is_whole = path.stat().st_size == sidecar.size
        except (FileNotFoundError, RecordError):
            return None  # somebody took it out of the library by hand, so this is no second copy
        return (path, sidecar) if is_whole and sidecar.origin.sha256 == content.sha256 else None

    def _is_leftover(self, sidecar: Sidecar, ready: Ready) -> bool:
        origin = sidecar.origin
        recorded = Identity(origin.device, origin.inode, origin.size, origin.mtime_ns)
        return recorded == ready.identity and origin.path == self._shown(ready)

    def _shown(self, ready: Ready) -> str:
        return str(self._layout.relative(ready.path))

    def _write(self, target: Path, sidecar: Sidecar) -> None:
        make_folder(target.parent)
        sidecar.write(sidecar_of(target))

    def free_name(self, drop: Drop, examined: Examined, taken: Container[Path] = ()) -> Path:
        """The library name; a different file that has it already gives this one its hash in its name.

        A record alone keeps no name: its file was taken out of the library, and this may be that very file.

        Args:
            taken: names that are not free either.
        """
        sha256 = examined.dropped.sha256
        marks = chain(("", f"-{short_hash(sha256)}", f"-{sha256}"), (f"-{sha256}-{n}" for n in count(2)))
        paths = (self._name(drop, examined, f"{drop.stem}{mark}") for mark in marks)
        return next(path for path in paths if path not in taken and not is_there(path))

    def folder(self, drop: Drop, examined: Examined) -> Path:
        """Where a drop will be filed; the folder need not exist yet. Any thread may ask."""
        return self._name(drop, examined, drop.stem).parent

    def _name(self, drop: Drop, examined: Examined, stem: str) -> Path:
        match drop.kind:
            case Kind.MUSIC:
                return self._layout.music(drop.category, examined.audio.seconds if examined.audio else 0.0, stem)
            case Kind.VIDEO | Kind.FRAME:
                assert examined.video is not None  # noqa: S101 - for the type checker: clips have a picture
                video = examined.video
                size = (video.display_width, video.display_height)
                return self._layout.clip(drop.kind, drop.category, size, video.seconds, stem)
            case _:
                return self._name_in_story(drop, examined, (drop.category, drop.story or ""), stem)

    def _name_in_story(self, drop: Drop, examined: Examined, story: tuple[str, str], stem: str) -> Path:
        match drop.kind:
            case Kind.TEXT:
                suffix = examined.made[0].suffix if examined.made else drop.relative.suffix
                return self._layout.text(*story, f"{stem}{suffix}")
            case Kind.CARD:
                suffix = drop.relative.suffix.lower() if examined.picture else ".mp4"
                return self._layout.card(*story, f"{stem.lower()}{suffix}")
            case Kind.LINK:
                return self._layout.link(*story, stem)
            case Kind.SETTINGS:
                return self._layout.settings(*story, stem)
            case kind:
                assert kind is Kind.VOICE  # noqa: S101 - all others are above
                return self._layout.voice(*story, stem)

    def sidecar(self, ready: Ready, drop: Drop, examined: Examined, content: Content) -> Sidecar:
        identity = ready.identity
        return Sidecar(
            kind=drop.kind,
            category=drop.category,
            story=drop.story,
            chapter=drop.chapter,
            titles=drop.titles,
            sha256=content.sha256,
            size=content.size,
            origin=Origin(
                path=self._shown(ready),
                sha256=examined.dropped.sha256,
                size=identity.size,
                device=identity.device,
                inode=identity.inode,
                mtime_ns=identity.mtime_ns,
                evidence=ready.evidence,
            ),
            scanned_at=utc_now(),
            video=examined.video,
            picture=examined.picture,
            audio=examined.audio,
            loudness=examined.loudness,
            settings=examined.settings,
        )
