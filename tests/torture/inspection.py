"""What must hold of a project root at any instant, and once the main worker has come to rest. Changes nothing."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shared.domain.layout import METADATA, VIDEO_LIST, Layout, reason_of, sidecar_of
from shared.files import is_private, original_name

# What may differ from one run to the next without meaning anything: times, and where the filesystem put a file.
_PASSING = frozenset({"scanned_at", "when", "created_at", "evidence", "device", "inode", "mtime_ns", "identity"})
_MARKERS = (".sha256", ".done", ".reason.json")
_SIDECAR, _REASON, _NOTE = ".json", ".reason.json", "README.md"
_OWN_TO_A_RUN = frozenset({".farm/locks/main_worker.lock", ".farm/mounts.json"})


@dataclass(frozen=True)
class Dropped:
    """What an operator gave: the bytes of a file, or a link to somewhere else.

    Attributes:
        where: its path below ``raw/``.
        sha256: None for a link.
        becomes_other: what the library keeps is made of it, so that these very bytes need not stay.
    """

    where: str
    sha256: str | None
    link: str | None = None
    becomes_other: bool = False


def given(raw: Path, *where: str) -> tuple[Dropped, ...]:
    """What lies at some places below `raw`."""
    return tuple(_given(raw, place) for place in where)


def _given(raw: Path, where: str) -> Dropped:
    path = raw / where
    if path.is_symlink():
        return Dropped(where, None, link=os.fspath(path.readlink()))
    return Dropped(where, hash_of(path), becomes_other=where.startswith("music/"))


def problems_at_any_time(layout: Layout, dropped: Sequence[Dropped]) -> list[str]:
    """What may not be even in the instant after a kill: lost bytes (I1), half files under final names (I2)."""
    return [*_lost(layout, dropped), *_half_library(layout), *_half_rejected(layout, dropped), *_half_tasks(layout)]


def problems_at_rest(layout: Layout) -> list[str]:
    """What a worker that has come to rest may not leave behind (I6)."""
    found = [f"a private name is left: {path}" for path in _all(layout.root) if is_private(path)]
    found += [f"put aside and forgotten: {path}" for path in _files(layout.raw) if original_name(path)]
    for folder in (layout.staging, layout.removed):
        found += [f"left in {folder.name}: {path.name}" for path in folder.iterdir()]
    for path in _files(layout.scanned):
        if path.name.endswith(_SIDECAR) and not path.with_name(path.name.removesuffix(_SIDECAR)).exists():
            found.append(f"a sidecar without its file: {path}")
    for path in _files(layout.invalid):
        if path.name.endswith(_REASON) and not os.path.lexists(path.with_name(path.name.removesuffix(_REASON))):
            found.append(f"a reason without its drop: {path}")
    for path in _files(layout.raw):
        for ending in _MARKERS:
            if path.name.endswith(ending) and not os.path.lexists(path.with_name(path.name.removesuffix(ending))):
                found.append(f"a marker beside nothing: {path}")
    return found


def picture(layout: Layout) -> dict[str, str]:
    """Everything under a root by path, without what may differ from one run to the next; equal for equal outcomes."""
    found = {}
    for path in _all(layout.root):
        relative = str(layout.relative(path))
        if relative in _OWN_TO_A_RUN:
            continue
        if path.is_symlink():
            found[relative] = f"→ {path.readlink()}"
        elif path.suffix == ".json":
            found[relative] = json.dumps(_lasting(_read_json(path)), sort_keys=True)
        else:
            found[relative] = hash_of(path)
    return found


def differences(wanted: Mapping[str, str], found: Mapping[str, str]) -> list[str]:
    """How one picture differs from another, in words."""
    words = [f"missing: {name}" for name in sorted(wanted.keys() - found.keys())]
    words += [f"too much: {name}" for name in sorted(found.keys() - wanted.keys())]
    both = sorted(wanted.keys() & found.keys())
    return words + [
        f"other content: {name}: {wanted[name][:300]} became {found[name][:300]}"
        for name in both
        if wanted[name] != found[name]
    ]


def hash_of(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


# -- I1 ----------------------------------------------------------------------------------------------


def _lost(layout: Layout, dropped: Sequence[Dropped]) -> Iterator[str]:
    places = [*_files(layout.raw), *_files(layout.invalid), *_files(layout.scanned)]
    links = {os.fspath(path.readlink()) for path in places if path.is_symlink()}
    whole = {hash_of(path) for path in places if not path.is_symlink() and not is_private(path)}
    whole |= {sidecar["origin"]["sha256"] for _, sidecar in _library(layout) if sidecar.get("kind") == "music"}
    for drop in dropped:
        if drop.link is not None and drop.link not in links:
            yield f"LOST: the link {drop.where}"
        if drop.sha256 is not None and drop.sha256 not in whole:
            yield f"LOST: the bytes of {drop.where}"


# -- I2 ----------------------------------------------------------------------------------------------


def _library(layout: Layout) -> Iterator[tuple[Path, dict[str, Any]]]:
    """The library files that are in place with a record that fits them."""
    for path in _files(layout.scanned):
        if not _is_entry(path):
            continue
        sidecar = _read_json(sidecar_of(path))
        if sidecar and (sidecar.get("sha256"), sidecar.get("size")) == (hash_of(path), path.stat().st_size):
            yield path, sidecar


def _is_entry(path: Path) -> bool:
    return path.suffix != _SIDECAR and path.name != _NOTE and not is_private(path)


def _half_library(layout: Layout) -> Iterator[str]:
    good = {path for path, _ in _library(layout)}
    for path in _files(layout.scanned):
        if is_private(path):
            continue
        if path.suffix == _SIDECAR and _read_json(path) is None:
            yield f"HALF: {path} is no whole JSON file"
        if _is_entry(path) and path not in good:
            yield f"HALF: {path} has no record, or is not the file its record speaks of"


def _half_rejected(layout: Layout, dropped: Sequence[Dropped]) -> Iterator[str]:
    known = {drop.sha256 for drop in dropped}
    for path in _files(layout.invalid):
        if is_private(path) or path.name == _NOTE:
            continue
        if path.name.endswith(_REASON):
            if _read_json(path) is None:
                yield f"HALF: {path} is no whole JSON file"
        elif not reason_of(path).exists():
            yield f"HALF: {path} was rejected without a reason"
        elif not path.is_symlink() and hash_of(path) not in known:
            yield f"HALF: {path} holds other bytes than any drop"


def _half_tasks(layout: Layout) -> Iterator[str]:
    for folder in (layout.root / "tasks").iterdir():
        if not folder.is_dir():
            continue
        metadata = _read_json(folder / METADATA)
        if metadata is None or not (folder / VIDEO_LIST).exists():
            yield f"HALF: the task {folder.name} is not complete"
            continue
        for name in metadata["inputs"]:
            if not (folder / name).is_file():
                yield f"HALF: the task {folder.name} has no {name}"


# -- reading -----------------------------------------------------------------------------------------


def _all(folder: Path) -> Iterator[Path]:
    """Everything below a folder that is not itself a folder."""
    for parent, names, files in os.walk(folder):
        for name in (*files, *names):
            path = Path(parent, name)
            if path.is_symlink() or not path.is_dir():
                yield path


def _files(folder: Path) -> list[Path]:
    return sorted(_all(folder))


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None


def _lasting(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _lasting(item) for key, item in value.items() if key not in _PASSING}
    return [_lasting(item) for item in value] if isinstance(value, list) else value
