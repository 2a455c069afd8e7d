"""The alarm in a real main worker: what people are told of a real farm, by real receivers, over restarts."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from shared.records.alerts import AlertsRecord
from shared.records.node import NodeRecord
from shared.records.record import utc_now

if TYPE_CHECKING:
    from tests.main_worker.alerts.conftest import Receiver
    from tests.main_worker.conftest import Farm, Media

Changes = dict[str, dict[str, Any]]


@pytest.fixture
def alarmed(make_farm: Callable[[Changes], Farm], receiver: Receiver) -> Callable[..., Farm]:
    """A farm that tells the receiver, and looks often."""

    def make(**changes: Any) -> Farm:
        alerts = {"webhook": receiver.address, "look_seconds": 0.2, "retry_seconds": 0.1, "free_bytes": 0, **changes}
        return make_farm({"alerts": alerts, "worker": {"lease_seconds": 2.0, "heartbeat_seconds": 0.5}})

    return make


@pytest.fixture
def start_node(farm_root: list[Path]) -> Iterator[Callable[[], subprocess.Popen[bytes]]]:
    """Starts a real render worker, box-1, on the farm whose root is the last of the list."""
    started: list[subprocess.Popen[bytes]] = []

    def start() -> subprocess.Popen[bytes]:
        environment = {**os.environ, "REELMILL_WORKER__NODE": "box-1", "REELMILL_RENDER__ENCODER": "software"}
        command = [sys.executable, "-m", "render_worker", "--root", str(farm_root[-1])]
        started.append(subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait()


@pytest.fixture
def farm_root() -> list[Path]:
    return []


def test_a_rejected_drop_is_told_once_and_not_again_after_a_restart(
    alarmed: Callable[..., Farm], receiver: Receiver, media: Media
) -> None:
    """In the words of its reason, and with its place in the trash."""
    farm = alarmed()
    farm.drop(media.text("old.mp4", "not a video"), "video/nature/old.mp4")
    main = farm.start()
    receiver.until(lambda: receiver.got(kind="drop_rejected"))
    assert main.stop() == 0
    (alert,) = receiver.bodies
    assert alert["title"].startswith("Rejected raw/video/nature/old.mp4: ")
    assert alert["details"]["path"] == "trash/invalid/old.mp4"

    main = farm.start()
    farm.drop(media.text("new.mp4", "no video either"), "video/nature/new.mp4")
    receiver.until(lambda: len(receiver.bodies) >= 2)
    time.sleep(1)
    assert main.stop() == 0
    assert [body["about"] for body in receiver.bodies] == ["old.mp4", "new.mp4"]


def test_what_came_while_nobody_looked_is_told_at_the_next_start(
    alarmed: Callable[..., Farm], receiver: Receiver, media: Media
) -> None:
    """A main worker without the alerts, or that was killed before it told; what it had told is not told again."""
    farm = alarmed()
    farm.drop(media.text("first.mp4", "not a video"), "video/nature/first.mp4")
    main = farm.start()
    receiver.until(lambda: receiver.bodies)
    main.until(lambda: not AlertsRecord.read(farm.layout.alerts).undelivered)
    assert main.stop(signal.SIGKILL) == -signal.SIGKILL
    farm.drop(media.text("second.mp4", "no video either"), "video/nature/second.mp4")
    subprocess.run(
        [sys.executable, "-m", "main_worker", "--root", str(farm.layout.root), "--once"],
        env={**os.environ, "REELMILL_ALERTS__WEBHOOK": ""},
        stderr=subprocess.DEVNULL,
        check=True,
    )
    assert (farm.layout.invalid / "second.mp4").exists()
    main = farm.start()
    receiver.until(lambda: receiver.got(about="second.mp4"))
    assert main.stop() == 0
    assert [body["about"] for body in receiver.bodies] == ["first.mp4", "second.mp4"]


def test_a_receiver_that_was_down_is_told_after_a_restart(
    alarmed: Callable[..., Farm], receiver: Receiver, media: Media
) -> None:
    """The alert is in .farm/alerts.json meanwhile, and ingest goes on as if nothing were."""
    receiver.answers = [503]
    farm = alarmed()
    main = farm.start()
    farm.drop(media.text("bad.mp4", "not a video"), "video/nature/bad.mp4")
    receiver.until(lambda: receiver.bodies)
    farm.drop(media.clip(), "video/nature/good.mp4")
    main.until(farm.library)
    assert main.stop() == 0
    record = AlertsRecord.read(farm.layout.alerts)
    assert [item.alert.about for item in record.undelivered] == ["bad.mp4"]
    tries = len(receiver.bodies)
    receiver.answers = [200]
    again = farm.start()
    receiver.until(lambda: len(receiver.bodies) > tries)
    again.until(lambda: not AlertsRecord.read(farm.layout.alerts).undelivered)
    assert len({body["id"] for body in receiver.bodies}) == 1
    assert again.stop() == 0


def test_a_node_that_is_killed_and_comes_back_is_told(
    alarmed: Callable[..., Farm],
    receiver: Receiver,
    farm_root: list[Path],
    start_node: Callable[[], subprocess.Popen[bytes]],
) -> None:
    """Real workers; one that is stopped in peace is no news, and a restart of the main worker tells nothing twice."""
    farm = alarmed()
    farm_root.append(farm.layout.root)
    main = farm.start()
    node = start_node()
    record = farm.layout.node_record("box-1")
    receiver.until(record.exists)
    time.sleep(0.5)
    node.send_signal(signal.SIGKILL)
    receiver.until(lambda: receiver.got(kind="node_dead", state="began"))
    assert main.stop() == 0
    main = farm.start()
    time.sleep(1)
    assert len(receiver.bodies) == 1
    node = start_node()
    receiver.until(lambda: receiver.got(kind="node_dead", state="over"))
    node.send_signal(signal.SIGTERM)
    assert node.wait(60) == 0
    time.sleep(1)
    assert [body["title"] for body in receiver.bodies] == [
        "Node box-1 is dead; its task goes back to the queue",
        "Node box-1 is back",
    ]
    assert main.stop() == 0


def test_a_finished_video_and_a_queue_are_told_to_a_command(
    alarmed: Callable[..., Farm], media: Media, tmp_path: Path
) -> None:
    """Everything by one channel as well as by another; here a video is moved in by hand, as a node publishes it."""
    told = tmp_path / "told"
    farm = alarmed(webhook="", command=["sh", "-c", f"cat >> {told}; echo >> {told}"], queue_limit=1)

    def kinds() -> list[tuple[str, str]]:
        lines = told.read_text().splitlines() if told.exists() else []
        return [(body["kind"], body["state"]) for body in map(json.loads, lines)]

    farm.drop(media.clip(), "video/nature/a.mp4")
    farm.drop(media.sound("tune.mp3"), "music/nature/a.mp3")
    farm.drop(media.sound(), "story/nature/tale/voice/one.mp3")
    farm.drop(media.variant(media.sound(), 1), "story/nature/tale/voice/two.mp3")
    main = farm.start()
    main.until(lambda: ("queue_long", "began") in kinds())
    for task_id in farm.tasks():
        (farm.layout.root / "tasks" / task_id).rename(farm.layout.output / task_id)
    main.until(lambda: ("queue_long", "over") in kinds() and kinds().count(("video_finished", "happened")) == 2)
    assert main.stop() == 0


def test_only_the_events_that_are_asked_for_are_told(
    alarmed: Callable[..., Farm], receiver: Receiver, media: Media
) -> None:
    """A node's death is remembered all the same."""
    farm = alarmed(events=["node_set_aside"])
    shutil.copy(media.text("bad.mp4", "not a video"), farm.layout.raw / "video" / "bad.mp4")
    NodeRecord(
        node="box-9",
        host="elsewhere",
        pid=1,
        program="1",
        state="unhealthy",
        why="it failed what others rendered",
        updated_at=utc_now(),
    ).write(farm.layout.node_record("box-9"))
    main = farm.start()
    main.until((farm.layout.invalid / "bad.mp4").exists)
    receiver.until(lambda: receiver.bodies)
    time.sleep(3)
    assert [body["title"] for body in receiver.bodies][:1] == [
        "Node box-9 takes no tasks: it is unhealthy (it failed what others rendered)"
    ]
    assert {body["kind"] for body in receiver.bodies} == {"node_set_aside"}
    assert main.stop() == 0


def test_a_farm_that_tells_nobody_keeps_no_record(make_farm: Callable[..., Farm], media: Media) -> None:
    """Without a channel there is nothing to do."""
    farm = make_farm()
    farm.drop(media.text("bad.mp4", "not a video"), "video/nature/bad.mp4")
    farm.work()
    assert not farm.layout.alerts.exists()


def test_a_mail_without_a_server_is_a_problem_of_the_configuration(make_farm: Callable[..., Farm]) -> None:
    """Told at the start, with every key that is missing."""
    farm = make_farm({"alerts": {"mail_to": ["anna@example.org"]}})
    main = farm.start()
    assert main.wait() == 2
    for key in ("mail_from", "smtp_host"):
        assert f'alerts.{key} = "": must be set where alerts.mail_to is' in main.log
