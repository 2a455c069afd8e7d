"""One line per event, whatever is in it."""

from __future__ import annotations

import json
import logging
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.log import line, log_to_file, open_log
from shared.settings import Log

ANY_TEXT = st.text(st.characters(exclude_categories=()))
KEYS = st.from_regex(r"[a-z_]{1,10}", fullmatch=True).filter(
    lambda key: key not in ("timestamp", "level", "component", "message", "exception")
)
VALUES = ANY_TEXT | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.booleans()
LINE = re.compile(r'(?P<time>\S+) (?P<level>\S+) (?P<component>\S+) (?P<message>"(?:[^"\\]|\\.)*")(?P<pairs>.*)')
PAIR = re.compile(r' ([a-z_]+)=("(?:[^"\\]|\\.)*"|\S+)')


@pytest.fixture(autouse=True)
def logging_as_before() -> Iterator[None]:
    """The log is one per process; a test's files must not stay open."""
    yield
    root = logging.getLogger("reelmill")
    for handler in root.handlers:
        handler.close()
    root.handlers = []


def fields_of(text: str) -> dict[str, str]:
    """Read a line back the way a program would."""
    found = LINE.fullmatch(text)
    assert found
    pairs = {key: json.loads(value) if value[0] == '"' else value for key, value in PAIR.findall(found["pairs"])}
    assert PAIR.sub("", found["pairs"]) == ""
    head = {"time": found["time"], "level": found["level"], "component": found["component"]}
    return head | {"message": json.loads(found["message"])} | pairs


def test_a_line_has_the_form_of_the_specification() -> None:
    """Its own example."""
    fields = {
        "message": "Moved file raw/video/action/abc.mp4 → scanned/video/action/mp4_w3840_h2160/12.4_abc.mp4",
        "timestamp": "2025-11-10T18:03:44Z",
        "level": "INFO",
        "component": "main_worker",
        "event": "file_scanned",
    }
    assert line(fields) == (
        '2025-11-10T18:03:44Z INFO main_worker "Moved file raw/video/action/abc.mp4 → '
        'scanned/video/action/mp4_w3840_h2160/12.4_abc.mp4" event=file_scanned'
    )


@given(ANY_TEXT, st.dictionaries(KEYS, VALUES, max_size=5))
def test_a_line_is_one_line_that_can_be_read_back(message: str, values: dict[str, object]) -> None:
    """No text of a hostile file name breaks the line, forges a field or upsets a terminal."""
    text = line({"timestamp": "t", "level": "INFO", "component": "main_worker", "message": message, **values})
    assert text.isprintable()
    text.encode("utf-8")
    fields = fields_of(text)
    assert (fields["level"], fields["component"]) == ("INFO", "main_worker")
    assert fields.keys() == {"time", "level", "component", "message", *values}
    if message.isprintable():
        assert fields["message"] == message
    for key, value in values.items():
        if isinstance(value, str) and value.isprintable():
            assert fields[key] == value


def test_figures_are_short_and_what_is_not_known_is_left_out() -> None:
    """Three decimals are enough for people."""
    text = line({"message": "m", "a": 1.0, "b": 0.12345, "c": None, "d": True, "e": ""})
    assert text == '- - - "m" a=1 b=0.123 d=True e=""'


def test_plain_values_need_no_quotes() -> None:
    """Ids and paths can be searched for as they are."""
    text = line({"message": "", "task": "5f0c-1", "path": "scanned/a_b.mp4", "story": "Dragon Flight"})
    assert shlex.split(text)[4:] == ["task=5f0c-1", "path=scanned/a_b.mp4", "story=Dragon Flight"]


def test_a_worker_logs_with_level_component_event_and_ids(capfd: pytest.CaptureFixture[str]) -> None:
    """What is written to standard error is the line, with the time in UTC."""
    log = open_log("main_worker", Log(file=False))
    log.warning("100 % of %s {x}", name="file_rejected", code="empty")
    fields = fields_of(capfd.readouterr().err.rstrip("\n"))
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", fields.pop("time"))
    assert fields == {
        "level": "WARN",
        "component": "main_worker",
        "message": "100 % of %s {x}",
        "event": "file_rejected",
        "code": "empty",
    }


def log_a_fault(settings: Log) -> None:
    log = open_log("main_worker", settings)
    try:
        int("\x1b[31m\n2026-01-01T00:00:00Z INFO main_worker forged")
    except ValueError as error:
        error.add_note("\x1b[31m\n2026-01-01T00:00:00Z INFO main_worker forged")
        log.exception("A fault", name="fault")


def test_the_trace_of_a_fault_cannot_pass_for_an_event(capfd: pytest.CaptureFixture[str]) -> None:
    """It follows its line, set in, with everything hostile in it made visible."""
    log_a_fault(Log(file=False))
    first, *trace = capfd.readouterr().err.rstrip("\n").split("\n")
    assert fields_of(first)["event"] == "fault"
    assert len(trace) >= 4
    assert all(text.startswith("    ") and text.isprintable() for text in trace)
    assert trace[-1] == "    2026-01-01T00:00:00Z INFO main_worker forged"


def test_a_fault_in_json_is_still_one_object(capfd: pytest.CaptureFixture[str]) -> None:
    """With its trace as one more field."""
    log_a_fault(Log(file=False, format="json"))
    (text,) = capfd.readouterr().err.splitlines()
    assert "forged" in json.loads(text)["exception"]


@pytest.mark.parametrize(
    ("level", "written"),
    [
        ("DEBUG", ["DEBUG", "INFO", "WARN", "ERROR"]),
        ("INFO", ["INFO", "WARN", "ERROR"]),
        ("WARN", ["WARN", "ERROR"]),
        ("ERROR", ["ERROR"]),
    ],
)
def test_only_the_wanted_levels_are_written(capfd: pytest.CaptureFixture[str], level: str, written: list[str]) -> None:
    """With the level names of the contract."""
    log = open_log("main_worker", Log.model_validate({"file": False, "level": level}))
    log.debug("d")
    log.info("i")
    log.warning("w")
    log.error("e")
    assert [text.split()[1] for text in capfd.readouterr().err.splitlines()] == written


def test_json_lines_hold_the_same_fields(capfd: pytest.CaptureFixture[str]) -> None:
    """One object per line, in plain ASCII."""
    log = open_log("render_worker", Log(file=False, format="json"))
    log.info("a\nb \udcff", name="task_made", path=Path("/x"), count=3)
    (text,) = capfd.readouterr().err.splitlines()
    assert text.isascii()
    fields = json.loads(text)
    assert fields.pop("timestamp").endswith("Z")
    assert fields == {
        "level": "INFO",
        "component": "render_worker",
        "message": "a\nb \udcff",
        "event": "task_made",
        "path": "/x",
        "count": 3,
    }


def test_the_log_file_gets_the_same_lines_and_is_rotated(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """It never grows past its size, and no more than the wanted number is kept."""
    settings = Log(max_bytes=10_000, keep=2)
    log = open_log("main_worker", settings)
    log_to_file(settings, tmp_path / "main_worker.log")
    for number in range(500):
        log.info(f"Moved file \udcff {number} " + "x" * 50, name="file_scanned")
    files = sorted(path.name for path in tmp_path.iterdir())
    assert files == ["main_worker.log", "main_worker.log.1", "main_worker.log.2"]
    assert all(path.stat().st_size <= 10_000 for path in tmp_path.iterdir())
    last = (tmp_path / "main_worker.log").read_text("utf-8").splitlines()[-1]
    assert last == capfd.readouterr().err.splitlines()[-1]


def test_no_file_is_written_where_none_is_wanted(tmp_path: Path) -> None:
    """Configuration decides."""
    open_log("main_worker", Log(file=False))
    log_to_file(Log(file=False), tmp_path / "main_worker.log")
    assert list(tmp_path.iterdir()) == []
