"""By which profiles a voice becomes videos."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from main_worker.tasks.material import Missing, profiles_of
from shared.config import Config, load_config
from shared.domain.layout import METADATA, sidecar_of
from shared.domain.task import task_id_for
from shared.records.metadata import Metadata
from shared.records.sidecar import Sidecar
from shared.records.story import StorySettings
from tests.main_worker.conftest import png
from tests.main_worker.tasks.test_preparer import FILED_VOICE, give, sha256

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.main_worker.conftest import Farm, Media

THREE = """
[profiles.shorts]
resolution = "1080x1920"
fit = "crop"
captions = "burned"
[profiles.square]
resolution = "720x720"
frame_rate = 25
logo = "brand.png"
"""


def configured(tmp_path: Path, text: str) -> Config:
    (tmp_path / "config.toml").write_text(text, "utf-8")
    return load_config(tmp_path / "config.toml", {})


def test_a_story_its_category_and_the_farm_say_it_in_this_order(tmp_path: Path) -> None:
    """Categories by the names that operators give them; nothing twice."""
    config = configured(
        tmp_path,
        f'{THREE}[tasks]\nprofiles = ["default", "default"]\ncategory_profiles = {{"Deep Sea" = ["shorts"]}}\n',
    )
    assert profiles_of("nature", StorySettings(), config) == ("default",)
    assert profiles_of("Deep_Sea", StorySettings(), config) == ("shorts",)
    assert profiles_of("Deep_Sea", StorySettings(profiles=("square", "default")), config) == ("square", "default")


def test_a_story_that_names_a_profile_that_is_not_there_waits(tmp_path: Path) -> None:
    """With the nearest name."""
    with pytest.raises(Missing, match=r'story\.toml.* "short" .*did you mean shorts\?'):
        profiles_of("nature", StorySettings(profiles=("short",)), configured(tmp_path, THREE))


def test_one_story_and_three_profiles_are_three_tasks(make_farm: Callable[..., Farm], media: Media) -> None:
    """Of the same clips and the same music, each with the size, rate and logo of its profile; made once."""
    farm = make_farm()
    with farm.layout.config.open("a", encoding="utf-8") as config:
        config.write(THREE)
    (farm.layout.assets / "brand.png").write_bytes(png(255, 0, 0))
    give(farm, media)
    settings = b'profiles = ["default", "shorts", "square"]\nresolution = "640x360"\n'
    farm.drop(media.text("story.toml", settings.decode()), "story/fantasy/dragon flight/story.toml")
    farm.work()
    made = {
        metadata.render.profile: metadata
        for metadata in (Metadata.read(farm.layout.root / "tasks" / name / METADATA) for name in farm.tasks())
    }
    assert {name: (one.render.resolution, one.render.frame_rate) for name, one in made.items()} == {
        "default": ("640x360", 30),
        "shorts": ("1080x1920", 30),
        "square": ("720x720", 25),
    }
    assert [made[name].render.logo for name in ("default", "shorts", "square")] == [None, None, "logo.png"]

    def content(metadata: Metadata) -> list[Any]:
        return [metadata.seed, *(metadata.inputs[name].sha256 for name in ("music.mp3", *metadata.video_files))]

    assert content(made["default"]) == content(made["shorts"]) == content(made["square"])
    voice = farm.layout.scanned / FILED_VOICE
    ids = {name: task_id_for("fantasy", "dragon_flight", "chapter_0001", sha256(voice), name) for name in made}
    assert {name: metadata.task_id for name, metadata in made.items()} == ids
    assert Sidecar.read(sidecar_of(voice)).task_id == ids["default"]
    assert made["shorts"].label == "fantasy/dragon flight/chapter_0001 (shorts)"
    farm.work()
    assert len(farm.tasks()) == 3


def test_all_tasks_of_a_voice_are_made_or_none(make_farm: Callable[..., Farm], media: Media) -> None:
    """A profile whose logo went meanwhile keeps the voice waiting, so that nothing is made twice later."""
    farm = make_farm()
    with farm.layout.config.open("a", encoding="utf-8") as config:
        config.write(THREE)
    brand = farm.layout.assets / "brand.png"
    brand.write_bytes(png(255, 0, 0))
    main = farm.start()
    main.until_idle()
    brand.unlink()
    farm.drop(media.text("story.toml", 'profiles = ["default", "square"]\n'), "story/fantasy/dragon flight/story.toml")
    give(farm, media)
    main.until_logged("there is no assets/brand.png")
    assert not farm.tasks()
    brand.write_bytes(png(255, 0, 0))
    main.until(lambda: len(farm.tasks()) == 2)
    assert main.stop() == 0
