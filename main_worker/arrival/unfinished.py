"""Whether a damaged drop may be a copy that has not come to its end yet: then its refusal can wait a while."""

from __future__ import annotations

from shared.domain.drop import Kind

HEAD_BYTES = 4096
CHECKSUM_MISMATCH = "checksum_mismatch"
_CUT_OFF = frozenset({"empty", "truncated", CHECKSUM_MISMATCH})
# The types of the first box of an MP4 or MOV file (ISO 14496-12, QuickTime File Format).
_FIRST_BOXES = frozenset({b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"pnot", b"uuid", b"moof", b"sidx"})
_PICTURES = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff")  # PNG and JPEG
_SYNC = 0xE0  # eleven set bits begin an MPEG audio frame


def looks_unfinished(kind: Kind, code: str, head: bytes) -> bool:
    """Whether the rest of a file could make it good.

    A prefix of a video still begins like one; what was allocated and not written yet is zeros. Text under the
    name of a video stays what it is, however much is added.

    Args:
        code: why it was refused.
        head: its first bytes.
    """
    if code in _CUT_OFF:
        return True
    return code == "unreadable" and (not any(head) or _begins_like(kind, head))


def _begins_like(kind: Kind, head: bytes) -> bool:
    if kind in (Kind.VIDEO, Kind.FRAME):
        return head[4:8] in _FIRST_BOXES
    if kind is Kind.CARD:
        return head[4:8] in _FIRST_BOXES or head.startswith(_PICTURES) or (head[:4], head[8:12]) == (b"RIFF", b"WEBP")
    if kind in (Kind.MUSIC, Kind.VOICE):
        return head[:3] == b"ID3" or (len(head) > 1 and head[0] == 0xFF and head[1] & _SYNC == _SYNC)  # noqa: PLR2004
    return False
