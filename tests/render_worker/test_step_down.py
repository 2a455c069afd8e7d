"""An encoder that fails during a task: the next one makes the video, and record, log and node say so.

The failures are real ones of the real ffmpeg: an encoder that is listed and has no device, and a card that another
executable plays, which encodes by software under a card's name, until it is killed, or in black.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from render_worker.commands.encoders import Way
from render_worker.gate import SoundClosed
from render_worker.job import Job
from render_worker.soundtrack import SoundFailed
from render_worker.tool import RenderFailed
from shared.domain.errors import MachineTrouble, Stopped
from shared.domain.layout import FINAL, RENDER_RECORD, Layout
from shared.domain.task import TaskState
from shared.ffmpeg import Ffmpeg
from shared.records.node import NodeRecord
from shared.records.render import RenderRecord
from tests.render_worker.cards import BLACK, CARD, HANGING, KILLED
from tests.render_worker.test_mixing import with_voice

Prepare = Callable[..., Job]
Render = Callable[..., RenderRecord]
Script = Callable[[str], Ffmpeg]

BOTH = pytest.mark.parametrize("mode", ["direct", "segments"])
WAYS = (Way("h264_nvenc", "cuda"), Way("h264_nvenc"), Way("libx264"))


@pytest.fixture
def no_card(ffmpeg: Ffmpeg, run_ffmpeg: Callable[..., bytes]) -> None:
    """Skips where there is a card, whose encoder would not fail."""
    try:
        run_ffmpeg("-f", "lavfi", "-i", "testsrc2=duration=0.1", "-c:v", "h264_nvenc", "-f", "null", "-")
    except Exception:  # noqa: BLE001 - that is what is wanted
        return
    pytest.skip("this machine has a card of NVIDIA's that encodes")


@BOTH
@pytest.mark.usefixtures("no_card")
def test_an_encoder_that_cannot_open_is_stepped_down_from(prepare: Prepare, render: Render, mode: str) -> None:
    """From full hardware to decoding by software, and to software alone; each step is told with its reason."""
    told: list[str] = []
    job = prepare()
    record = render(job, ways=WAYS, mode=mode, on_step_down=told.append)
    assert (record.encoder, record.decoder, record.mode, record.fallback) == ("libx264", None, mode, None)
    assert [step.partition(":")[0] for step in record.stepped_down] == ["h264_nvenc, decoding by cuda", "h264_nvenc"]
    assert list(record.stepped_down) == told
    assert record.plan["profile"]["encoder"] == "libx264"
    assert (job.folder / FINAL).stat().st_size == record.size
    assert not job.scratch.exists()


@BOTH
@pytest.mark.usefixtures("no_card")
def test_decoding_by_hardware_that_is_not_there(prepare: Prepare, render: Render, mode: str) -> None:
    """The encoder is kept where only the decoder fails."""
    record = render(prepare(), ways=(Way("libx264", "cuda"), Way("libx264")), mode=mode)
    assert (record.encoder, record.decoder) == ("libx264", None)
    assert len(record.stepped_down) == 1
    assert record.stepped_down[0].startswith("libx264, decoding by cuda: ffmpeg ended with status")


@BOTH
def test_a_card_that_works_is_used(prepare: Prepare, render: Render, script: Script, mode: str) -> None:
    """The one that these tests play, which shows that what fails below is what is said to fail."""
    record = render(prepare(), program=script(CARD), ways=WAYS[1:], mode=mode)
    assert (record.encoder, record.stepped_down) == ("h264_nvenc", ())


@BOTH
@pytest.mark.parametrize(
    ("card", "why"),
    [(KILLED, "killed by signal 9"), (BLACK, "black where the clips are not"), (HANGING, "made no progress for 2 s")],
    ids=["killed in the middle", "writes black", "hangs"],
)
def test_a_card_that_fails_in_the_middle(
    prepare: Prepare, render: Render, script: Script, mode: str, card: str, why: str
) -> None:
    """It ends well, it ends badly, or it does not end: software makes the video, and nothing of the other is in it."""
    job = prepare(clips=("long.mp4",))
    record = render(job, program=script(card), ways=WAYS[1:], mode=mode, stall_seconds=2)
    assert (record.encoder, record.mode, record.fallback) == ("libx264", mode, None)
    (step,) = record.stepped_down
    assert step.startswith("h264_nvenc: ")
    assert why in step
    assert sorted(path.name for path in job.folder.iterdir()) == [
        *("contact-sheet.jpg", "final.mp4", "metadata.json", "poster.jpg", "render.json")
    ]


def test_segments_of_two_encoders_never_meet(prepare: Prepare, render: Render, script: Script, layout: Layout) -> None:
    """A card that dies at the second clip has made the first one: of that nothing is used."""
    there = f'ls "{layout.segments}"/*/segment.mp4 >/dev/null 2>&1'
    second = f'if ! mkdir "$0.first" 2>/dev/null; then while ! {there}; do sleep 0.1; done; exit 7; fi'
    dying = CARD.replace("set -f;", f"{second}; set -f;", 1)
    record = render(prepare(clips=("h264.mp4", "halves.mp4")), program=script(dying), ways=WAYS[1:])
    assert (record.encoder, record.fallback) == ("libx264", None)
    assert "status 7" in record.stepped_down[0]
    assert (record.counts["segments_conformed"], record.counts["segments_reused"]) == (2, 0)
    assert len(list(layout.segments.glob("*/segment.mp4"))) == 3


def test_what_is_nobodys_fault_is_not_tried_again(
    prepare: Prepare, render: Render, script: Script, layout: Layout
) -> None:
    """A full disk meets every encoder, and a sound has none."""
    full = script('echo "x: No space left on device" >&2; exit 1')
    with pytest.raises(MachineTrouble, match="disk full"):
        render(prepare(), program=full, ways=WAYS, on_step_down=pytest.fail)


@BOTH
@pytest.mark.parametrize("style", ["broadcast", "spec"])
def test_a_sound_that_is_wrong_is_no_encoders_fault(
    prepare: Prepare, render: Render, script: Script, mode: str, style: str
) -> None:
    """It would be wrong with each of them."""
    silenced = 'case "$*" in *apad=*) set -f; set -- $(echo "$@" | sed "s/apad=/volume=0,apad=/");; esac'
    program, spoken = script(f"{silenced}; {CARD}"), with_voice(prepare(), pauses="")
    with pytest.raises(SoundClosed, match=r"silence where somebody speaks|loudness, LUFS is -70"):
        render(spoken, program=program, ways=WAYS[1:], on_step_down=pytest.fail, mode=mode, mix={"style": style})


def test_a_voice_that_cannot_be_read_is_no_encoders_fault(prepare: Prepare, render: Render, script: Script) -> None:
    """Nor is what makes the sound of it."""
    program = script(f'case "$*" in *tee*) exit 5;; esac; {CARD}')
    with pytest.raises(SoundFailed, match="status 5"):
        render(prepare(), program=program, ways=WAYS[1:], on_step_down=pytest.fail)


def test_who_is_to_stop_does_not_step_down(prepare: Prepare, render: Render, script: Script) -> None:
    """A worker that ends gives its task back, whatever its encoder did meanwhile."""
    failed = script(f'case "$*" in *h264_nvenc*) >"$0.failed"; exit 7;; esac; {CARD}')
    mark = Path(failed.path + ".failed")
    with pytest.raises(Stopped):
        render(prepare(), program=failed, ways=WAYS[1:], on_step_down=pytest.fail, stopping=mark.exists)


def test_the_last_ones_failure_is_the_tasks(prepare: Prepare, render: Render, tmp_path: Path) -> None:
    """A clip that nothing can decode is told as ever, after each has tried."""
    clip = tmp_path / "broken.mp4"
    clip.write_bytes(b"no video at all " * 100)
    told: list[str] = []
    with pytest.raises(RenderFailed, match=r"while conforming scanned/broken\.mp4"):
        render(prepare(clips=(clip,), seconds_each=3.0), ways=WAYS[1:], on_step_down=told.append)
    assert len(told) == 1


def test_log_and_node_say_it(
    farm: Layout,
    add_task: Callable[..., str],
    start_worker: Callable[..., object],
    script: Script,
    said: Callable[[], list[str]],
    wait_until: Callable[[Callable[[], object]], None],
) -> None:
    """While the task is rendered the node's record says why it is slow; the log has one line of it."""
    slow = KILLED.replace('exec "$FFMPEG" "$@"', 'case "$*" in *keyint_min*) sleep 3;; esac; exec "$FFMPEG" "$@"')
    task_id = add_task(voice="voice_short.mp3", clips=("h264.mp4",))
    start_worker(worker__node="a", render__encoder="nvenc", ffmpeg__path=script(slow).path)
    record = farm.node_record("a")
    wait_until(lambda: record.exists() and NodeRecord.read(record).stepped_down)
    shown = NodeRecord.read(record)
    assert shown.encoder == "h264_nvenc"
    assert shown.stepped_down is not None
    assert "killed by signal 9" in shown.stepped_down
    wait_until(farm.task(TaskState.FINISHED, task_id).is_dir)
    (line,) = (line for line in said() if "event=encoder_stepped_down" in line)
    assert " WARN render_worker " in line
    assert "killed by signal 9" in line


def test_a_card_that_fails_again_and_again_is_given_up(
    farm: Layout,
    add_task: Callable[..., str],
    start_worker: Callable[..., object],
    script: Script,
    said: Callable[[], list[str]],
    wait_until: Callable[[Callable[[], object]], None],
) -> None:
    """After three tasks in a row the worker begins with software, and says so."""
    dying = CARD.replace("*) :;;", "*) exit 7;;")
    assert dying != CARD
    tasks = [add_task(voice="voice_short.mp3", clips=("h264.mp4",)) for _ in range(4)]
    start_worker(worker__node="a", render__encoder="nvenc", ffmpeg__path=script(dying).path)
    for task_id in tasks:
        wait_until(farm.task(TaskState.FINISHED, task_id).is_dir)
    records = [RenderRecord.read(farm.task(TaskState.FINISHED, task_id) / RENDER_RECORD) for task_id in tasks]
    assert [len(record.stepped_down) for record in records] == [1, 1, 1, 0]
    assert {record.encoder for record in records} == {"libx264"}
    (line,) = (line for line in said() if "event=encoder_given_up" in line)
    assert "h264_nvenc has failed for 3 tasks in a row" in line
    record = farm.node_record("a")
    wait_until(lambda: record.exists() and NodeRecord.read(record).encoder == "libx264")
