"""Is a title or end card a whole picture or film that can be shown? Is a logo a picture?"""

from __future__ import annotations

from pathlib import Path

from main_worker.checks.cage import Cage, refused, unreadable
from main_worker.checks.pictures import check_size, examine_clip
from shared.domain.media import PictureFacts, VideoFacts
from shared.domain.plan import STILLS
from shared.mediainfo import Declared, number

_FORMATS = {"png_pipe": "PNG", "jpeg_pipe": "JPEG", "webp_pipe": "WebP"}  # as MediaInfo names them


def examine_card(cage: Cage, path: Path) -> VideoFacts | PictureFacts:
    """Decode a card: a film as any clip, or one picture.

    Raises:
        DropRefused: as :func:`examine_clip`; or it is no picture of the format that its name says.
    """
    demuxer = STILLS.get(path.suffix.lower())
    if demuxer:
        return _examine_still(cage, path, demuxer, cage.declared(path))
    facts = examine_clip(cage, path, still=True)
    if facts.frames == 1:
        advice = "Drop it as a picture (.png, .jpg or .webp), which is shown for a time, or as a film that moves."
        raise refused("too_short", "The card is a film of a single picture, which is over at once.", advice, frames=1)
    return facts


def examine_logo(cage: Cage, path: Path) -> PictureFacts:
    """Decode a logo: one picture of any of these formats, whatever its name says, since it is opened by its content.

    Raises:
        DropRefused: it is no picture.
    """
    declared = cage.declared(path)
    by_content = (demuxer for demuxer, name in _FORMATS.items() if name == declared.container)
    return _decode_still(cage, path, next(by_content, STILLS.get(path.suffix.lower(), "png_pipe")), declared)


def _examine_still(cage: Cage, path: Path, demuxer: str, declared: Declared) -> PictureFacts:
    wanted, found = _FORMATS[demuxer], declared.container
    if found not in (wanted, None):
        sentence = f"The file is named as a {wanted} picture but is {found}."
        raise refused("wrong_content", sentence, f"Export it as {wanted}, or give it the name of what it is.")
    return _decode_still(cage, path, demuxer, declared)


def _decode_still(cage: Cage, path: Path, demuxer: str, declared: Declared) -> PictureFacts:
    wanted = _FORMATS[demuxer]
    for picture in declared.pictures:
        if "width" in picture:  # MediaInfo does not look into WebP; ffmpeg refuses more pixels as well
            check_size(cage, int(number(picture, "width")), int(number(picture, "height")))
    size: list[str] = []

    def note(line: str) -> None:
        if line.startswith("#dimensions"):
            size.append(line.rpartition(" ")[2])

    ended, progress = cage.run(demuxer, path, ["-map", "0:V:0", "-f", "framecrc", "pipe:1"], on_line=note)
    if ended.code or ended.errors.strip() or progress.frame != 1 or not size:
        raise unreadable(f"a {wanted} picture", ended)
    width, height = map(int, size[0].split("x"))
    return PictureFacts(width, height, wanted)
