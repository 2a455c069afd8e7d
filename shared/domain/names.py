"""How dropped names become the names of the library: always ``[A-Za-z0-9._-]+``, the original kept as data."""

from __future__ import annotations

import hashlib
import re
import unicodedata

_CLEAN = re.compile(r"[A-Za-z0-9._-]+")
_LONGEST = 100  # leaves room for the duration, a hash and `.reason.json` within the 255 bytes of a file name


def safe_stem(original: str) -> str:
    """A dropped file's stem as a library name; unchanged where it already is one."""
    if _CLEAN.fullmatch(original) and len(original) <= _LONGEST:
        return original
    return _slug(original)[:_LONGEST].strip("._- ") or "unnamed"


def safe_folder(original: str) -> str:
    """A category or story name as a folder name of the library.

    Blanks become ``_``. Any other change adds 8 hex digits of the original, so that two
    categories in a script without Latin letters never share a folder.
    """
    if _CLEAN.fullmatch(original) and len(original) <= _LONGEST and not original.startswith("."):
        return original
    slug = _slug(original)
    if slug and slug == re.sub(r"\s", "_", original) and len(slug) <= _LONGEST and not slug.startswith("."):
        return slug
    stem = slug[: _LONGEST - 9].strip("._-")
    mark = short_hash(hashlib.sha256(original.encode("utf-8", "surrogatepass")).hexdigest())
    return f"{stem}-{mark}" if stem else mark


def short_hash(sha256: str) -> str:
    """The 8 hex digits that tell apart two files which would share a name."""
    return sha256[:8]


def duration_text(seconds: float) -> str:
    """Seconds as they stand in a library file name: one decimal, such as ``12.4``."""
    return f"{seconds:.1f}"


def readable(name: str) -> str:
    """A name from outside with everything that could upset a terminal or a log line made visible."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape", "replace").decode() for char in name)


def _slug(original: str) -> str:
    plain = unicodedata.normalize("NFKD", original).encode("ascii", "ignore").decode()
    return re.sub(r"[^A-Za-z0-9._-]", "_", plain)
