"""The JSON files of a root: kept by neighbouring versions, and never half understood."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from shared.domain.drop import Kind
from shared.domain.media import AudioFacts, LoudnessFacts, VideoFacts
from shared.domain.retry import Ending
from shared.records.attempt import AttemptRecord
from shared.records.lease import LeaseRecord
from shared.records.main import MainRecord, PendingDrop, WaitingVoice
from shared.records.metadata import Metadata
from shared.records.node import NodeRecord
from shared.records.reason import Reason
from shared.records.record import Record, RecordError, utc_now
from shared.records.render import Check, RenderRecord
from shared.records.sidecar import Origin, Sidecar

ORIGIN = Origin(path="raw/x", sha256="00", size=1, device=1, inode=1, mtime_ns=1, evidence="quiet")
RECORDS: list[Record] = [
    AttemptRecord(number=1, token="ab", node="n", started_at="now", ended=Ending.DIED),
    LeaseRecord(lease_seconds=90),
    MainRecord(
        host="h",
        pid=1,
        program="1",
        state="idle",
        pending=(PendingDrop(drop="raw/x", doing="settling"),),
        waiting=(WaitingVoice(voice="v", category="c", story="s", reason="no clip"),),
        updated_at="now",
    ),
    NodeRecord(node="n", host="h", pid=1, program="1", state="idle", updated_at="now"),
    Reason(code="empty", reason="It is empty.", advice="Copy it again.", measured={"bytes": 0}, when="now"),
    RenderRecord(
        task_id="t",
        attempt=1,
        token="ab",
        node="n",
        program="1",
        ffmpeg="7",
        encoder="libx264",
        mode="direct",
        plan={"frames": 3},
        checks=(Check(name="frames", passed=True, measured=3, limit=3),),
        sha256="00",
        size=1,
        seconds=0.1,
        frames=3,
        timings={"render": 0.5},
        started_at="now",
        finished_at="now",
    ),
    Sidecar(
        kind=Kind.VIDEO,
        category="c",
        titles=("C \udcff",),
        sha256="00",
        size=1,
        origin=ORIGIN,
        scanned_at="now",
        video=VideoFacts(640, 360, 640, 360, 0, 1.0, 29.97, 1.0, 30, "AVC"),
        audio=AudioFacts(1.0, 2, 44100, "MPEG Audio", 0.0),
        loudness=LoudnessFacts(-16.0, 3.0, -1.5),
    ),
]


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: type(record).__name__)
def test_a_record_reads_back_as_it_was_written(tmp_path: Path, record: Record) -> None:
    """Every kind, through a real file."""
    path = tmp_path / "record.json"
    record.write(path)
    assert type(record).read(path) == record
    assert path.read_bytes().endswith(b"}\n")


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: type(record).__name__)
def test_unknown_keys_survive_reading_changing_and_writing(tmp_path: Path, record: Record) -> None:
    """A newer version's keys are not lost when an older one rewrites the file."""
    path = tmp_path / "record.json"
    values = json.loads(record.to_bytes()) | {"schema": 2, "new_key": {"deep": [1, "龍"]}}
    path.write_text(json.dumps(values), "utf-8")
    type(record).read(path).changed().write(path)
    assert json.loads(path.read_bytes()) == values


def test_unknown_keys_inside_a_record_survive(tmp_path: Path, metadata_of: Callable[..., Metadata]) -> None:
    """The parts of a task's metadata are kept as whole as the metadata."""
    path = tmp_path / "metadata.json"
    values = json.loads(metadata_of().to_bytes())
    values["render"]["new"] = 1
    values["inputs"]["voice.mp3"]["new"] = 2
    path.write_text(json.dumps(values))
    Metadata.read(path).changed(priority=90).write(path)
    assert json.loads(path.read_bytes()) == values | {"priority": 90}


def test_metadata_has_the_keys_of_the_specification(metadata_of: Callable[..., Metadata]) -> None:
    """Other programs read this file."""
    values = json.loads(metadata_of().to_bytes())
    assert values["schema"] == 1
    assert {
        *("task_id", "category", "story_name", "voice_file", "voice_duration", "music_file", "inputs", "video_files"),
        *("render", "chapter", "frame_file", "seed", "priority", "created_at"),
    } <= values.keys()
    assert {"resolution", "frame_rate", "logo", "output_format"} <= values["render"].keys()
    assert isinstance(values["render"]["frame_rate"], int | float)


def test_a_record_is_a_value() -> None:
    """It is changed by making another."""
    lease = LeaseRecord(lease_seconds=90)
    assert lease.changed(lease_seconds=30.0).lease_seconds == 30.0
    assert lease.lease_seconds == 90.0
    with pytest.raises(ValueError, match="frozen"):
        lease.__setattr__("lease_seconds", 30.0)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b'{"lease_seconds": 90',
        b"null",
        b"[]",
        b"{}",
        b"\xff\xfe",
        b"\0" * 512,
        b'{"lease_seconds": "long"}',
        b"[" * 100_000,
    ],
    ids=lambda content: repr(content[:20]),
)
def test_a_damaged_record_is_an_error_that_names_the_file(tmp_path: Path, content: bytes) -> None:
    """Torn, empty, foreign or full of zeros after a power loss."""
    path = tmp_path / "lease.json"
    path.write_bytes(content)
    with pytest.raises(RecordError, match=re.escape(str(path))):
        LeaseRecord.read(path)


def test_every_wrong_key_of_a_damaged_record_is_named(tmp_path: Path) -> None:
    """Not only the first."""
    path = tmp_path / "1.json"
    path.write_text('{"number": "x", "token": 1, "node": "n"}')
    with pytest.raises(RecordError) as caught:
        AttemptRecord.read(path)
    for key in ("number", "token", "started_at"):
        assert f"{key}: " in str(caught.value)


def test_a_missing_record_is_not_a_damaged_one(tmp_path: Path) -> None:
    """Callers tell them apart."""
    with pytest.raises(FileNotFoundError):
        LeaseRecord.read(tmp_path / "lease.json")


def test_a_broken_name_survives_a_record(tmp_path: Path) -> None:
    """A file name that is not UTF-8 is kept exactly, in a file that is."""
    path = tmp_path / "x.json"
    broken = "raw/caf\udce9"
    Reason(code="c", reason="r", advice="a", original_path=broken, when="now").write(path)
    assert Reason.read(path).original_path == broken
    path.read_text("ascii")


def test_the_present_is_written_as_utc() -> None:
    """ISO 8601 with Z, so that text order is time order."""
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", utc_now())


@pytest.mark.parametrize("seconds", [0.0, -3.0, float("nan"), float("inf")])
def test_a_record_with_an_impossible_length_is_damaged(seconds: float) -> None:
    """Plans are made with this figure, and a record can be edited by hand."""
    facts = AudioFacts(seconds=seconds, channels=1, sample_rate=44100, codec="MPEG Audio", silent_seconds=0.0)
    origin = Origin(path="raw/x.mp3", sha256="0" * 64, size=1, device=1, inode=1, mtime_ns=1, evidence="a test")
    good = Sidecar(
        kind=Kind.MUSIC, category="nature", sha256="0" * 64, size=1, origin=origin, scanned_at="2026-01-01T00:00:00Z"
    )
    with pytest.raises(RecordError, match="seconds"):
        Sidecar.from_bytes(good.changed(audio=facts).to_bytes(), "x.mp3.json")
