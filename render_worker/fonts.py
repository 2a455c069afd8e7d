"""Which fonts words are drawn with: those of this machine first, then those that come with the install.

fontconfig chooses among them, for each sign the first font that has it. It is told by a file, and reads its name from
the environment; it is part of ffmpeg, so that nothing of it has to be installed.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from xml.sax.saxutils import escape

_PACKAGES = ("manimgx_fonts", "manimgx_fonts_cjk")  # Noto Sans of 20 scripts; of Chinese, Japanese and Korean
_SYSTEM = "/etc/fonts/fonts.conf"
_NAMED = "FONTCONFIG_FILE"  # where it names the system's file
# Signs that these languages share look different in each: by ISO 639-2, as fontconfig and as Noto names them.
_HAN = {"zho": ("zh-cn", "SC"), "chi": ("zh-cn", "SC"), "jpn": ("ja", "JP"), "kor": ("ko", "KR")}


def fonts_for(language: str, folder: Path) -> dict[str, str]:
    """The environment in which words of a language (ISO 639-2) are drawn; its file is written into `folder`."""
    conf = folder / "fonts.conf"
    conf.write_text(_conf(language, os.environ.get(_NAMED, _SYSTEM), folder), "utf-8", "surrogateescape")
    return {_NAMED: str(conf.absolute()), **({"FC_LANG": _HAN[language][0]} if language in _HAN else {})}


def fallback_folders() -> Iterator[Path]:
    """Where the fonts are that came with the install."""
    for package in _PACKAGES:
        yield Path(str(files(package)))


def _conf(language: str, system: str, cache: Path) -> str:
    """The system's choice, whatever it is, and after all that it names the fonts of the install."""
    _, region = _HAN.get(language, _HAN["jpn"])
    families = ("Noto Sans", f"Noto Sans CJK {region}")
    return "\n".join(
        [
            '<?xml version="1.0"?>',
            '<!DOCTYPE fontconfig SYSTEM "urn:fontconfig:fonts.dtd">',
            "<fontconfig>",
            f'<include ignore_missing="yes">{escape(system)}</include>',
            *(f"<dir>{escape(str(folder.absolute()))}</dir>" for folder in fallback_folders()),
            f"<cachedir>{escape(str(cache.absolute()))}</cachedir>",
            "<alias><family>sans-serif</family><default>",
            *(f"<family>{family}</family>" for family in families),
            "</default></alias>",
            "</fontconfig>",
            "",
        ]
    )
