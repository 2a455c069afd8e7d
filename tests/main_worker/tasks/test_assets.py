"""What the configuration names in ``assets/`` is looked at like a drop, once, and told where it cannot be shown."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from main_worker.checks.cage import Cage
from main_worker.tasks.assets import Assets, AssetUnusable
from shared.config import Config
from shared.domain.errors import Stopped
from shared.domain.layout import Layout
from shared.ffmpeg import Ffmpeg
from shared.records.cards import CardsRecord
from tests.main_worker.conftest import Changes, Media, png


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    """A root with assets, and nothing else."""
    layout = Layout(tmp_path / "root")
    layout.assets.mkdir(parents=True)
    return layout


@pytest.fixture
def assets_of(layout: Layout, media: Media) -> Callable[..., Assets]:
    """The assets of that root, by some changes of the configuration."""

    def make(
        changes: Changes | None = None, ffmpeg: Ffmpeg = media.ffmpeg, stopping: Callable[[], bool] = lambda: False
    ) -> Assets:
        return Assets(Cage(Config.model_validate(changes or {}), ffmpeg, stopping), layout)

    return make


def test_a_card_is_examined_again_when_it_was_replaced(layout: Layout, assets_of: Callable[..., Assets]) -> None:
    """What cannot be shown is told, with what to do, each time it is asked for."""
    assets, path = assets_of(), layout.assets / "bye.png"
    path.write_text("no picture")
    for _ in range(2):
        with pytest.raises(AssetUnusable, match=r"assets/bye.png cannot be shown as a card: .*PNG.* again"):
            assets.card(path)
    path.write_bytes(png(255, 0, 0))
    assert (assets.card(path).video, assets.card(path).content.size) == (None, path.stat().st_size)


@pytest.mark.parametrize("name", ["logo.png", "logo.jpg", "logo.webp"])
def test_a_logo_may_be_any_picture_whatever_it_is_called(
    layout: Layout, assets_of: Callable[..., Assets], media: Media, name: str
) -> None:
    """It is opened by its content; so it has always been."""
    made = ("-f", "lavfi", "-i", "testsrc=size=320x180:rate=1:duration=1", "-frames:v", "1")
    for kind in ("png", "jpg", "webp"):
        shutil.copyfile(media.made(f"l.{kind}", *made), layout.assets / name)
        assets_of().check_logo(layout.assets / name)
    (layout.assets / name).write_text("<svg/>")
    with pytest.raises(AssetUnusable, match=f"assets/{name} cannot be shown as the logo"):
        assets_of().check_logo(layout.assets / name)


def test_what_is_wrong_is_told_before_anything_needs_it(layout: Layout, assets_of: Callable[..., Assets]) -> None:
    """Of all profiles that videos of some category get, each once."""
    (layout.assets / "logo.png").write_text("no picture")
    (layout.assets / "bye.png").write_text("no picture")
    profiles = {
        "shorts": {"render": {"logo": "", "end_card": "bye.png"}, "mix": {}},
        "unused": {"render": {"logo": "x.png"}, "mix": {}},
    }
    tasks = {"category_profiles": {"news": ["default", "shorts"]}}
    wrong = assets_of({"profiles": profiles, "tasks": tasks}).look()
    assert [words.partition(":")[0] for words in wrong] == [
        "assets/logo.png cannot be shown as the logo",
        "assets/bye.png cannot be shown as a card",
    ]
    assert not layout.card_facts.exists()


def test_cards_are_noted_for_idle_nodes(layout: Layout, assets_of: Callable[..., Assets], media: Media) -> None:
    """A film with its facts, a picture without; again when one was replaced, and where the cache was deleted."""
    shutil.copyfile(media.clip(), layout.assets / "hello.mp4")
    (layout.assets / "bye.png").write_bytes(png(255, 0, 0))
    assets = assets_of({"render": {"title_card": "hello.mp4", "end_card": "bye.png"}})
    assert assets.look() == []
    first = CardsRecord.read(layout.card_facts)
    assert [(one.path, one.size) for one in first.cards] == [
        ("assets/hello.mp4", media.clip().stat().st_size),
        ("assets/bye.png", len(png(255, 0, 0))),
    ]
    assert first.cards[0].video
    assert (first.cards[0].video.seconds, first.cards[1].video) == (1.0, None)
    layout.card_facts.unlink()
    assets.look()
    assert CardsRecord.read(layout.card_facts) == first
    (layout.assets / "bye.png").write_bytes(png(0, 0, 255))
    assets.look()
    assert CardsRecord.read(layout.card_facts).cards[1].sha256 != first.cards[1].sha256
    assets_of().look()
    assert CardsRecord.read(layout.card_facts).cards == ()


@pytest.mark.parametrize("fault", ["kill -9 $$", "sleep 60"])
def test_the_machines_own_trouble_is_told_and_a_stop_is_heeded(
    layout: Layout, assets_of: Callable[..., Assets], tmp_path: Path, fault: str
) -> None:
    """A tool that is killed says nothing of the card, and keeps nothing else from being looked at."""
    script = tmp_path / "ffmpeg"
    script.write_text(f"#!/bin/sh\n{fault}\n", "utf-8")
    script.chmod(0o755)
    (layout.assets / "logo.png").write_bytes(png(255, 0, 0))
    program = Ffmpeg(os.fspath(script), "stand-in")
    if "kill" in fault:
        (words,) = assets_of(ffmpeg=program).look()
        assert "killed" in words
    else:
        with pytest.raises(Stopped):
            assets_of(ffmpeg=program, stopping=lambda: True).look()
