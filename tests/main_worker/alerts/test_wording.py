"""Alerts in words: what people need, nothing that harms, and one alert where there would be a flood."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from console.init import lay_out
from main_worker.alerts.deciding import News
from main_worker.alerts.wording import Wording
from shared.domain.layout import METADATA, REASON, Layout, reason_of
from shared.domain.task import TaskState
from shared.records.metadata import Input, Metadata, RenderRequest
from shared.records.reason import Reason

TASK = "3c1a2f52-8a0e-4a0f-9c39-0c6b2a5b9d11"
WHEN = "2026-11-20T18:03:44.000Z"


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return lay_out(tmp_path / "root")


@pytest.fixture
def wording(layout: Layout) -> Wording:
    return Wording(layout, "https://farm.example.org/files/")


@pytest.fixture
def put_task(layout: Layout) -> Callable[..., None]:
    """Puts a task that has ended into its folder."""

    def put(
        state: TaskState, titles: tuple[str, str, str] = ("Fantasy", "Dragon flight", "One"), **reason: str
    ) -> None:
        folder = layout.task(state, TASK)
        folder.mkdir()
        Metadata(
            task_id=TASK,
            category="fantasy",
            story_name="dragon_flight",
            voice_file="voice.mp3",
            voice_duration=62.5,
            music_file=None,
            inputs={"voice.mp3": Input(path="scanned/voice.mp3", sha256="00", size=1)},
            video_files=(),
            render=RenderRequest(resolution="640x360", frame_rate=30),
            chapter="one",
            titles=titles,
            seed=1,
            created_at=WHEN,
        ).write(folder / METADATA)
        if reason:
            Reason.model_validate({"when": WHEN, **reason}).write(folder / REASON)

    return put


def test_a_finished_video_is_told_with_its_place_and_a_link(wording: Wording, put_task: Callable[..., None]) -> None:
    """The path people know, the file itself, and where a browser finds it."""
    put_task(TaskState.FINISHED)
    (alert,) = wording.alerts([News("video_finished", "happened", TASK)], WHEN)
    assert alert.title == "Finished Fantasy/Dragon flight/One"
    assert alert.details == {
        "path": "output/by-story/Fantasy/Dragon flight/One.mp4",
        "video": f"output/{TASK}/final.mp4",
        "link": f"https://farm.example.org/files/output/{TASK}/final.mp4",
        "length": "62 s",
    }


def test_a_failed_task_says_why_and_what_to_do(wording: Wording, put_task: Callable[..., None]) -> None:
    """In the words of its reason."""
    put_task(TaskState.FAILED, code="gate", reason="The video is black.", advice="Look at the clip.")
    (alert,) = wording.alerts([News("task_failed", "happened", TASK)], WHEN)
    assert alert.title == "Failed Fantasy/Dragon flight/One: The video is black."
    assert alert.details["advice"] == "Look at the clip."
    assert alert.details["path"] == f"trash/failed/{TASK}"


def test_a_rejected_drop_is_told_by_where_it_was_dropped(wording: Wording, layout: Layout) -> None:
    """Its name in the trash may be another one."""
    original = "raw/video/nature/my clip.mp4"
    record = Reason(code="truncated", reason="It is cut off.", advice="Copy it.", original_path=original, when=WHEN)
    record.write(reason_of(layout.invalid / "my_clip.mp4"))
    (alert,) = wording.alerts([News("drop_rejected", "happened", "my_clip.mp4.reason.json")], WHEN)
    assert alert.title == f"Rejected {original}: It is cut off."
    assert alert.about == "my_clip.mp4"
    assert alert.details["link"] == "https://farm.example.org/files/trash/invalid/my_clip.mp4"


def test_what_is_gone_already_is_told_all_the_same(wording: Wording) -> None:
    """An operator was quicker."""
    news = [News(kind, "happened", TASK) for kind in ("video_finished", "task_failed", "drop_rejected")]
    titles = [alert.title for alert in wording.alerts(news, WHEN)]
    assert titles == [f"Finished task {TASK}", f"Failed task {TASK}", f"Rejected {TASK}"]


def test_no_name_brings_a_line_break_or_a_control_character(wording: Wording, put_task: Callable[..., None]) -> None:
    """Whatever is in it, and however long it is."""
    hostile = "a\r\nBcc: x\x00\x1b]0;gone\x07\u202e\u2028\udcff"
    put_task(TaskState.FAILED, (hostile, 1000 * "long", "One"), code="gate", reason=f"It {hostile}", advice=hostile)
    (alert,) = wording.alerts([News("task_failed", "happened", TASK)], WHEN)
    for text in (alert.title, alert.about, *alert.details.values()):
        assert text.isprintable()
        assert len(text) <= 500
    assert alert.title.startswith("Failed a\\r\\nBcc: x\\x00\\x1b]0;gone\\x07\\u202e\\u2028\\udcff/longlong")


def test_a_flood_is_one_alert(wording: Wording) -> None:
    """A folder of a hundred bad drops; troubles stay single."""
    news = [News("drop_rejected", "happened", f"{number:03}.mp4.reason.json") for number in range(100)]
    news += [News("node_dead", "began", f"box-{number}", f"Node box-{number} is dead") for number in range(7)]
    alerts = wording.alerts(news, WHEN)
    assert [alert.kind for alert in alerts] == ["drop_rejected"] + ["node_dead"] * 7
    assert alerts[0].title == "100 drops were rejected"
    assert alerts[0].details["1"] == "Rejected 000.mp4"
    assert alerts[0].details["and"] == "95 more"


def test_every_alert_can_be_told_from_every_other(wording: Wording) -> None:
    """A receiver that gets one twice can tell by its id."""
    news = [News("queue_long", "began", "tasks", "11 tasks wait")] * 2
    first, second = wording.alerts(news, WHEN)
    assert first.id != second.id
