"""The short README in each folder of a project root, for the person who opens it."""

from __future__ import annotations

README_TEXTS: dict[str, str] = {
    ".": """\
# A Reelmill project root

Drop files into `raw/`; finished videos appear in `output/`. Everything else happens by itself.

- `raw/` – you write here, and only here.
- `scanned/` – the library: checked files. Read it, do not change it.
- `tasks/`, `processing/` – videos that wait and videos in the making.
- `output/` – finished videos; `output/by-story/` shows them by name.
- `trash/invalid/` – drops that were refused, each with the reason beside it.
- `trash/failed/` – videos that could not be made, each with the reason inside.
- `assets/` – your logo.
- `config.toml` – every setting with its default.
- `.farm/` – the machinery and its logs. It may be deleted while nothing runs.

Start everything on this machine with `reelmill run --root .`; see what it does with `reelmill status --root .`.
""",
    "raw": """\
# Drop files here

    raw/video/<category>/<name>.mp4                         background clips (.mp4, .mov, .m4v)
    raw/frame/<category>/<name>.mp4                         decorative frames
    raw/music/<category>/<name>.mp3                         background music
    raw/story/<category>/<story>/voice/<chapter>.mp3        a narration: each becomes a video
    raw/story/<category>/<story>/voice/<chapter>.txt        its text, for captions (or .srt, .vtt)
    raw/story/<category>/<story>/title.png, end.mp4         its title and end cards
    raw/story/<category>/<story>/link/<name>.txt            one http(s) address per line

A file is taken once it has not changed for some seconds and nobody is writing it, so a copy may take its time.
It then moves to `scanned/`, or to `trash/invalid/` with an explanation beside it.
Hidden files and temporary names (`.part`, `.tmp`, `~` …) are left alone.
""",
    "raw/story": """\
# Stories

- `<category>/<story>/voice/<chapter>.mp3` becomes a video.
- `<category>/<story>/voice/<chapter>.txt` (or `.srt`, `.vtt`) becomes its captions.
- `<category>/<story>/title.png` and `end.png` (or `.jpg`, `.webp`, `.mp4`, `.mov`) begin and end its videos.
- `<category>/<story>/link/<name>.txt` becomes text in `scanned/story/`.
""",
    "raw/video": """\
# Background clips

One folder per category: `<category>/<name>.mp4`. A story uses the clips of its own category first.
""",
    "raw/frame": """\
# Decorative frames

One folder per category: `<category>/<name>.mp4` (or `.mov`). They are laid over the videos whose clips are of their
category, again and again. The video is seen where the frame is clear (ProRes 4444 with alpha), or green, or blue.
""",
    "raw/music": """\
# Background music

One folder per category: `<category>/<name>.mp3`. Loudness is evened out when it is taken in.
""",
    "scanned": """\
# The library

Checked files and, beside each, a `.json` record of what it is and where it came from.
Nothing here is ever changed; videos are made from links to these files. `reelmill retire <file>` takes one out of
future videos by a mark beside it (`<file>.retired`), and `reelmill retire --undo <file>` takes the mark away.
""",
    "output": """\
# Finished videos

`by-story/<category>/<story>/<chapter>.mp4` (or `.mov`, `.mkv`) are links by name. Each video has a folder of its own
with `final.mp4` (or `.mov`, `.mkv`), `poster.jpg`, `metadata.json` (what it was made from) and `render.json` (how, with
every check).
A folder may be moved away; its video is not made again.
""",
    "trash": """\
# What did not make it

- `invalid/` – refused drops. `<name>.reason.json` says why and what to do. Mended? Drag the file back into `raw/`,
  or let `reelmill retry <name>` put it back where it was.
- `failed/` – videos that could not be made: `reason.json` and `stderr.log` inside. `reelmill retry <folder>` tries
  again; so does moving the folder back into `tasks/`.

`reelmill retry --all` tries everything again. Nothing here is deleted by itself unless `retention.trash_days` is set.
""",
    "assets": """\
# Your own pictures

`logo.png` is laid over the upper left corner of every video when it is here (setting `render.logo`).
""",
}
