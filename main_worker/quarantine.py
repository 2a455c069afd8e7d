"""``trash/invalid/``: rejected drops, each with its explanation beside it. Dragging one back into raw/ retries it."""

from __future__ import annotations

import errno
import os
import secrets
import stat
from pathlib import Path, PurePosixPath

from main_worker.carrying import carry
from main_worker.ready import Ready
from shared.domain.errors import Rejection
from shared.domain.layout import Layout, reason_of
from shared.domain.names import safe_stem
from shared.files import fsync_path
from shared.records.reason import Reason
from shared.records.record import RecordError, utc_now


def reject(layout: Layout, ready: Ready, rejection: Rejection) -> Path:
    """Move a drop to the rejected ones, its reason first; returns where it is now.

    Raises:
        DropChanged: it is not the drop that was judged.
        OSError: the machine's trouble; the drop is still in ``raw/``.
    """
    original = str(layout.relative(ready.path))
    status = ready.path.lstat()
    target = _free_name(layout.invalid, ready.relative, original)
    reason = Reason(
        code=rejection.code,
        reason=rejection.sentence,
        advice=rejection.advice,
        measured=dict(rejection.measured),
        original_path=original,
        when=utc_now(),
    )
    reason.write(reason_of(target))
    try:
        if stat.S_ISREG(status.st_mode):
            carry(ready, target)
        else:
            _move_special(ready.path, target)
    except BaseException:
        if not os.path.lexists(target):
            reason_of(target).unlink(missing_ok=True)
        raise
    return target


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


def _free_name(folder: Path, relative: PurePosixPath, original: str) -> Path:
    suffix = safe_stem(relative.suffix[1:]) if relative.suffix else ""
    stem, ending = safe_stem(relative.stem), f".{suffix}" if suffix else ""
    target = folder / f"{stem}{ending}"
    while os.path.lexists(target) or not _may_write(reason_of(target), original):
        target = folder / f"{stem}-{secrets.token_hex(4)}{ending}"
    return target


def _may_write(reason: Path, original: str) -> bool:
    """Whether a reason's name is free, or holds what this very drop left there: by a crash, or by being retried."""
    if os.path.lexists(reason_of(reason)):
        return False  # somebody dropped a reason file, and it was rejected
    try:
        return Reason.read(reason).original_path == original
    except FileNotFoundError:
        return True
    except (OSError, RecordError):
        return False
