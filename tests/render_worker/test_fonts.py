"""Words of any script, drawn by the real ffmpeg: with the fonts of the install alone, and with those of the system."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import ffmpeg as graph
import pytest

from render_worker.commands.lettering import Lettering, breakable, letter_height, missing, rehearsal
from render_worker.fonts import fallback_folders, fonts_for
from shared.domain.plan import Canvas
from shared.ffmpeg import Ffmpeg

UNKNOWN = "\U00013000"  # a hieroglyph, of which none of these fonts has any


@dataclass(frozen=True)
class Drawn:
    """A grey picture with words on it, and the signs for which no font was found."""

    pixels: bytes
    width: int
    missing: list[str]

    @property
    def box(self) -> tuple[int, int, int, int]:
        """Left, top, right and bottom of all that is not grey; right and bottom are the first beyond."""
        rows = [self.pixels[at : at + self.width] for at in range(0, len(self.pixels), self.width)]
        ink = [(x, y) for y, row in enumerate(rows) for x, level in enumerate(row) if abs(level - 128) > 30]
        assert ink, "nothing was drawn"
        across, down = sorted(x for x, _ in ink), sorted(y for _, y in ink)
        return across[0], down[0], across[-1] + 1, down[-1] + 1

    def rows_of_ink(self, left: int, right: int) -> int:
        """How many rows have something between two columns."""
        rows = [self.pixels[at + left : at + right] for at in range(0, len(self.pixels), self.width)]
        return sum(any(abs(level - 128) > 30 for level in row) for row in rows)


Draw = Callable[..., Drawn]


@pytest.fixture
def draw(tmp_path: Path, ffmpeg: Ffmpeg) -> Draw:
    """Draw one caption on a grey canvas as the worker does."""

    def run(text: str, *, language: str = "und", size: tuple[int, int] = (640, 360)) -> Drawn:
        canvas = Canvas(*size, Fraction(25))
        webvtt = f"WEBVTT\n\n00:00:00.000 --> 00:00:00.040\n{text}\n"
        height = letter_height(webvtt, canvas)
        words = tmp_path / "words.vtt"
        words.write_text(breakable(webvtt, canvas, height), "utf-8")
        lettering = Lettering(words, height, canvas)
        grey = graph.input(f"color=0x808080:size={size[0]}x{size[1]}", f="lavfi")
        shown = lettering.over(grey).filter("format", "gray").output("-", f="rawvideo", vframes=1).compile()[1:]
        environment = {**os.environ, **fonts_for(language, tmp_path)}

        def ask(arguments: list[str]) -> subprocess.CompletedProcess[bytes]:
            command = [ffmpeg.path, "-nostdin", "-loglevel", "error", *arguments]
            return subprocess.run(command, env=environment, capture_output=True, check=True, timeout=60)

        said = ask(rehearsal(lettering, 0.04)).stderr.decode()
        return Drawn(ask(shown).stdout, size[0], missing(said))

    return run


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without any font or setting of its own."""
    monkeypatch.setenv("FONTCONFIG_FILE", "/nowhere/fonts.conf")


SCRIPTS = {
    "Latin": "Gß",
    "Cyrillic": "Жд",
    "Greek": "Ωλ",
    "Hebrew": "שא",
    "Arabic": "مع",
    "Devanagari": "कग",
    "Bengali": "কগ",
    "Tamil": "கம",
    "Telugu": "కగ",
    "Thai": "กท",
    "Lao": "ກທ",
    "Khmer": "កគ",
    "Burmese": "ကဂ",
    "Georgian": "ქა",
    "Armenian": "Հա",
    "Ethiopic": "አማ",
    "Han": "龍海",
    "kana": "あカ",
    "hangul": "한국",
    "emoji": "😀❤",
}


@pytest.mark.parametrize("signs", SCRIPTS.values(), ids=SCRIPTS)
@pytest.mark.usefixtures("bare")
def test_the_fonts_of_the_install_have_every_script(draw: Draw, signs: str) -> None:
    """Two signs are two pictures, and neither is that of a sign which no font has."""
    one, other, unknown = draw(signs[0]), draw(signs[1]), draw(UNKNOWN)
    assert (one.missing, other.missing, unknown.missing) == ([], [], [UNKNOWN])
    assert len({one.pixels, other.pixels, unknown.pixels}) == 3


@pytest.mark.usefixtures("bare")
def test_a_video_has_room_for_ten_fonts(draw: Draw) -> None:
    """That is libass's own limit, of which it says nothing; what is beyond is told like any sign without a font."""
    signs = [signs[0] for name, signs in SCRIPTS.items() if name not in ("Cyrillic", "Greek")]  # of Latin's font
    assert draw("".join(signs)).missing == signs[10:]


def test_the_fonts_of_the_system_go_first(draw: Draw, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What its own settings name is what is drawn with; the fonts of the install have the rest."""
    emoji = next(path for folder in fallback_folders() for path in folder.glob("NotoSansSymbols*.ttf"))
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / emoji.name).symlink_to(emoji)
    conf = tmp_path / "system.conf"
    prefer = "<alias><family>sans-serif</family><prefer><family>Noto Sans Symbols</family></prefer></alias>"
    conf.write_text(f"<fontconfig><dir>{tmp_path}/own</dir>{prefer}</fontconfig>", "utf-8")
    monkeypatch.setenv("FONTCONFIG_FILE", "/nowhere/fonts.conf")
    without = draw("A")
    monkeypatch.setenv("FONTCONFIG_FILE", str(conf))
    assert draw("A").pixels != without.pixels
    assert draw("龍").missing == []


def test_this_machine_draws_what_its_own_fonts_lack(draw: Draw) -> None:
    """Whatever its settings are, and whether it has any font."""
    drawn = draw("Gß Жд שא مع कग กท 龍 한 😀")
    assert drawn.missing == []
    assert drawn.box


@pytest.mark.usefixtures("bare")
def test_signs_look_as_the_language_writes_them(draw: Draw) -> None:
    """Han signs that Chinese and Japanese share differ in shape."""
    assert len({draw("直骨", language=language).pixels for language in ("zho", "jpn")}) == 2


def test_the_system_is_asked_for_the_language_as_well(tmp_path: Path) -> None:
    """Only where signs differ by it."""
    assert fonts_for("kor", tmp_path)["FC_LANG"] == "ko"
    assert "FC_LANG" not in fonts_for("deu", tmp_path)


@pytest.mark.usefixtures("bare")
def test_hebrew_and_arabic_run_from_right_to_left(draw: Draw) -> None:
    """The full stop stands at the left, also where a Latin word is among them."""
    for text in ("שלום ABC עולם.", "أهلا ABC عالم."):
        drawn = draw(text)
        left, _, right, _ = drawn.box
        assert drawn.rows_of_ink(left, left + 4) < drawn.rows_of_ink(right - 4, right)
    latin = draw("Hello world.")
    left, _, right, _ = latin.box
    assert latin.rows_of_ink(left, left + 4) > latin.rows_of_ink(right - 4, right)


@pytest.mark.parametrize(
    ("together", "apart"), [("ببب", "ب\u200cب\u200cب"), ("क्ष", "क्\u200cष")], ids=["Arabic", "Devanagari"]
)
@pytest.mark.usefixtures("bare")
def test_letters_take_the_shape_their_neighbours_ask_for(draw: Draw, together: str, apart: str) -> None:
    """Joined letters and conjuncts are narrower than letters that are kept apart."""
    widths = [right - left for left, _, right, _ in (draw(together).box, draw(apart).box)]
    assert widths[0] < widths[1]


@pytest.mark.usefixtures("bare")
def test_thai_marks_stand_above_their_letter(draw: Draw) -> None:
    """They make it higher, and no wider."""
    bare, marked = draw("ท").box, draw("ที่").box
    assert marked[3] - marked[1] > (bare[3] - bare[1]) * 1.3
    assert marked[2] - marked[0] <= bare[2] - bare[0] + 4


@pytest.mark.parametrize("size", [(640, 360), (360, 640), (480, 480)], ids=["landscape", "portrait", "square"])
@pytest.mark.parametrize(
    "text",
    [
        "Und als sie nicht gestorben sind, so leben sie noch heute, in ihrem Schloss am Meer.",
        "Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft",
        "ถ้าหากว่าเราเดินทางไปที่เชียงใหม่ในวันพรุ่งนี้เราจะได้พบกันที่นั่นอีกครั้งหนึ่ง",
        "昔々、あるところにお爺さんとお婆さんが住んでいました。ある日、お爺さんは山へ柴刈りに。",
        "wort " * 200,
    ],
    ids=["a sentence", "a long word", "Thai", "Japanese", "a thousand signs"],
)
@pytest.mark.usefixtures("bare")
def test_words_stay_within_the_margins(draw: Draw, text: str, size: tuple[int, int]) -> None:
    """Whatever the shape of the canvas, long words break and nothing touches an edge."""
    left, top, right, bottom = draw(text, size=size).box
    (width, height), outline = size, 3
    assert left >= width * 0.05 - outline
    assert right <= width * 0.95 + outline
    assert bottom <= height * 0.95 + outline
    assert top >= height * 0.05
    if len(text) < 100:
        assert top > height / 2
