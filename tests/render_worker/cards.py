"""Executables that play a graphics card: bodies of shell scripts in which ``$FFMPEG`` is the real one.

What is asked of NVIDIA's encoder is done by x264, in the words that it knows. A trial (of the clip that is called
``clip.mp4``) always goes well, so that a worker takes the card for a good one.
"""

from __future__ import annotations

_WORDS = (
    "s/-c:v h264_nvenc/-c:v libx264/; s/-preset p[0-9]/-preset ultrafast/; s/-tune hq//; s/-rc vbr//; "
    "s/-cq [0-9]*//; s/-b:v 0//; s/-no-scenecut 1/-sc_threshold 0/"
)


def _playing(then: str) -> str:
    """`then` is what becomes of an encode that is not a trial; the words are x264's by then."""
    return f"""case "$*" in *h264_nvenc*)
    set -f; set -- $(echo "$@" | sed '{_WORDS}')
    case "$*" in *testsrc2*|*reelmill-trial*) ;; *) {then};; esac;; esac
exec "$FFMPEG" "$@"
"""


CARD = _playing(":")
KILLED = _playing('"$FFMPEG" "$@" & sleep 0.2; kill -9 $! $$')
BLACK = _playing('set -- $(echo "$@" | sed "s/sidedata=mode=delete/lutyuv=y=16:u=128:v=128/")')
HANGING = _playing("exec sleep 600")
