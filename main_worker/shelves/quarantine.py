"""``trash/invalid/``: rejected drops, each with its explanation beside it. Dragging one back into raw/ retries it."""

from __future__ import annotations

import errno
import glob
import secrets
import stat
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict
from itertools import count
from pathlib import Path, PurePosixPath

from main_worker.arrival.ready import Ready, identity_of
from main_worker.arrival.settling import Identity
from main_worker.shelves.carrying import carry
from shared.domain.errors import Rejection
from shared.domain.layout import REASON_SUFFIX, Layout, reason_of
from shared.domain.names import safe_stem
from shared.files import fsync_path, is_private, is_there, remove_same
from shared.records.reason import FileIdentity, Reason
from shared.records.record import RecordError, utc_now


def reject(layout: Layout, ready: Ready, rejection: Rejection, copy: Path | None = None) -> Path:
    """Move a drop to the rejected ones, its reason first; returns where it is now.

    Args:
        copy: the drop's copy, where one rename of itself will not do (see :func:`main_worker.shelves.carrying.bring`).

    Raises:
        DropChanged: it is not the drop that was judged.
        OSError: the machine's trouble; the drop is still in ``raw/``.
    """
    original = str(layout.relative(ready.path))
    status = ready.path.lstat()
    stem, ending = _safe_name(ready.relative)
    if target := _half_done(layout.invalid, stem, ending, original, ready.identity):
        remove_same(ready.path, ready.is_at)
        return target
    target = _free_name(layout.invalid, stem, ending, original)
    reason = Reason(
        code=rejection.code,
        reason=rejection.sentence,
        advice=rejection.advice,
        measured=dict(rejection.measured),
        original_path=original,
        identity=FileIdentity(**asdict(ready.identity)),
        when=utc_now(),
    )
    reason.write(reason_of(target))
    try:
        ready.remove_companions()
        if stat.S_ISREG(status.st_mode):
            carry(ready, target, copy)
        else:
            _move_special(ready.path, target)
    except BaseException:
        if not is_there(target):
            reason_of(target).unlink(missing_ok=True)
        raise
    return target


def tidy(layout: Layout) -> None:
    """Finish what a crash left half done: a reason without its drop goes, and so does a drop that was copied here."""
    for record in layout.invalid.iterdir():
        if is_private(record):
            record.unlink()
            continue
        drop = record.with_name(record.name.removesuffix(REASON_SUFFIX))
        if record == drop or is_there(reason_of(record)):  # no reason, or one that was itself rejected
            continue
        if not is_there(drop):
            record.unlink()  # the crash came before the move, or somebody took the drop away
            continue
        with suppress(FileNotFoundError, RecordError):
            _remove_original(layout, Reason.read(record))


def _remove_original(layout: Layout, reason: Reason) -> None:
    """Remove from ``raw/`` what was copied to the rejected ones; only if it is the very file."""
    if reason.identity is None or reason.original_path is None:
        return
    relative = PurePosixPath(reason.original_path)
    original = layout.root / relative
    if relative.is_absolute() or ".." in relative.parts or layout.raw not in original.parents:
        return  # a record can be edited; nothing it says leads outside raw/
    recorded = Identity(**reason.identity.model_dump(include={"device", "inode", "size", "mtime_ns"}))
    if is_there(original) and identity_of(original.lstat()) == recorded:
        remove_same(original, lambda path: identity_of(path.lstat()) == recorded)


def _move_special(source: Path, target: Path) -> None:
    """Move a link, pipe or device by its name alone; it is never opened."""
    try:
        source.rename(target)
    except OSError as error:
        if error.errno != errno.EXDEV or not source.is_symlink():
            raise
        target.symlink_to(source.readlink())
        source.unlink()
    fsync_path(target.parent)


def _safe_name(relative: PurePosixPath) -> tuple[str, str]:
    """Stem and ending under which a drop is kept."""
    suffix = safe_stem(relative.suffix[1:]) if relative.suffix else ""
    return safe_stem(relative.stem), f".{suffix}" if suffix else ""


def _half_done(folder: Path, stem: str, ending: str, original: str, identity: Identity) -> Path | None:
    """Where this very drop was copied to before something kept it from being removed."""
    for record in _reasons_like(folder, stem, ending):
        drop = record.with_name(record.name.removesuffix(REASON_SUFFIX))
        with suppress(OSError, RecordError):
            reason = Reason.read(record)
            same = reason.identity == FileIdentity(**asdict(identity)) and reason.original_path == original
            if same and drop.lstat().st_size == identity.size:
                return drop
    return None


def _reasons_like(folder: Path, stem: str, ending: str) -> Iterator[Path]:
    plain = folder / f"{stem}{ending}{REASON_SUFFIX}"
    yield plain
    if is_there(plain):  # else nothing has another name than its own
        yield from folder.glob(f"{glob.escape(stem)}-????????{glob.escape(ending)}{REASON_SUFFIX}")


def _free_name(folder: Path, stem: str, ending: str, original: str) -> Path:
    target = folder / f"{stem}{ending}"
    if not is_there(target) and _may_write(reason_of(target), original):
        return target
    others = (folder / f"{stem}-{secrets.token_hex(4)}{ending}" for _ in count())
    return next(path for path in others if not (is_there(path) or is_there(reason_of(path))))


def _may_write(reason: Path, original: str) -> bool:
    """Whether a reason's name is free, or holds what this very drop left there: by a crash, or by being retried."""
    if is_there(reason_of(reason)):
        return False  # somebody dropped a reason file, and it was rejected
    try:
        return Reason.read(reason).original_path == original
    except FileNotFoundError:
        return True
    except (OSError, RecordError):
        return False
