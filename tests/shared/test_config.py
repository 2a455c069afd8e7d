"""The configuration is read once, and everything that is wrong with it is told at once."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from shared.config import Config, ConfigError, UnknownProfile, load_config
from shared.config_text import default_text
from shared.settings import Tables


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "config.toml"


def problems_of(path: Path | None, environ: dict[str, str] | None = None) -> tuple[str, ...]:
    with pytest.raises(ConfigError) as caught:
        load_config(path, environ or {})
    assert all(problem in str(caught.value) for problem in caught.value.problems)
    return caught.value.problems


def test_without_a_file_the_defaults_hold() -> None:
    """A root needs no configuration."""
    assert load_config(None, {}) == Config()


def test_values_of_the_file_are_taken(path: Path) -> None:
    """One table of each kind of value."""
    path.write_text(
        '[render]\nresolution = "640x360"\nframe_rate = 29.97\n[music]\nrequired = false\n'
        '[tasks]\nfallback_categories = ["any", "all"]\n'
    )
    config = load_config(path, {})
    assert (config.render.resolution, config.render.frame_rate) == ("640x360", 29.97)
    assert config.music.required is False
    assert config.tasks.fallback_categories == ("any", "all")


def test_three_mistakes_are_reported_at_once(path: Path) -> None:
    """Each with its key, its value and what is allowed."""
    path.write_text('[render]\nresolution = "big"\nquality = 99\n[log]\nlevel = "LOUD"\n')
    resolution, quality, level = problems_of(path)
    assert (
        resolution
        == 'render.resolution = "big": must be WIDTHxHEIGHT with even sides from 64 to 8192, such as 1920x1080'
    )
    assert quality == "render.quality = 99: must be less than or equal to 51"
    assert level == "log.level = \"LOUD\": must be 'DEBUG', 'INFO', 'WARN' or 'ERROR'"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[render]\nqualty = 3\n", "render.qualty: there is no such key; did you mean render.quality?"),
        ("[rander]\nquality = 3\n", "rander: there is no such key; did you mean [render]?"),
        (
            "[render]\nlease_seconds = 60\n",
            "render.lease_seconds: there is no such key; did you mean worker.lease_seconds?",
        ),
        ("quality = 3\n", "quality: there is no such key; the tables are ingest, voice,"),
        ("[log]\nqqqqqqqqqqqq = 1\n", "log.qqqqqqqqqqqq: there is no such key; [log] has level, format,"),
        ("render = 3\n", "render = 3: must be"),
    ],
)
def test_an_unknown_key_or_table_gets_the_nearest_right_name(path: Path, text: str, problem: str) -> None:
    """A slip of the finger is not silently without effect."""
    path.write_text(text)
    (found,) = problems_of(path)
    assert found.startswith(problem)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        *(
            ("render.resolution", f'"{value}"')
            for value in ("1921x1080", "62x64", "1920x8194", "1920X1080", "1920x1080 ")
        ),
        *(("render.logo", value) for value in ('"/etc/passwd"', '"../x.png"', "'a\\b.png'", '"a.svg"', '"a"')),
        ("render.frame_rate", "0"),
        ("render.frame_rate", "nan"),
        ("worker.poll_seconds", "inf"),
        ("worker.node", '"a/b"'),
        *(
            ("alerts.webhook", value)
            for value in ('"hooks.example.org"', '"ftp://a/b"', '"https://"', '"https://a/\\n"')
        ),
        *(("alerts.mail_from", value) for value in ('"anna"', '"a@b c"', '"a@b\\nBcc: c@d"')),
        *(("files.umask", value) for value in ('"9"', '"22"', '"0o22"', '"722"', "22")),
        ("files.group", '"no such group of this machine"'),
        ("retention.trash_days", "-1"),
        ("worker.max_attempts", "1.5"),
        ("music.required", '"perhaps"'),
        ("tasks.fallback_categories", '"fantasy"'),
    ],
)
def test_a_value_out_of_bounds_is_refused_with_its_key(path: Path, key: str, value: str) -> None:
    """Nothing wrong reaches a worker."""
    section, name = key.split(".")
    path.write_text(f"[{section}]\n{name} = {value}\n")
    (problem,) = problems_of(path)
    assert problem.startswith(f"{key} = ")
    assert ": must be " in problem


def test_a_heartbeat_must_fit_three_times_into_the_lease(path: Path) -> None:
    """A worker that beats too slowly would count as dead."""
    path.write_text("[worker]\nlease_seconds = 10\nheartbeat_seconds = 5\n")
    assert problems_of(path) == ("worker.heartbeat_seconds = 5: must be at most a third of worker.lease_seconds (10)",)


def test_a_margin_that_pushes_the_logo_out_of_the_video_is_refused(path: Path) -> None:
    """In each profile by its own size; what lies in the middle has none."""
    path.write_text(
        '[render]\nlogo_margin = 400\n[profiles.small]\nresolution = "1280x720"\n'
        '[profiles.middle]\nresolution = "64x64"\nlogo_position = "center"\n'
    )
    (problem,) = problems_of(path)
    assert problem == (
        "profiles.small.logo_margin = 400: must be less than half of the shorter side of 1280x720, "
        "or no logo would be seen"
    )


def test_the_environment_overrides_the_file(path: Path) -> None:
    """Numbers, truth values, lists and words, each in its own type."""
    path.write_text("[render]\nquality = 30\n")
    config = load_config(
        path,
        {
            "REELMILL_RENDER__QUALITY": "18",
            "REELMILL_MUSIC__REQUIRED": "false",
            "REELMILL_TASKS__FALLBACK_CATEGORIES": '["any"]',
            "REELMILL_RENDER__PRESET": "fast",
            "REELMILL_WORKER__NODE": "007",
            "REELMILL_RENDER__LOGO": "",
            "REELMILL": "ignored",
            "REELMILL_HOME": "ignored",
            "PATH": "/bin",
        },
    )
    assert config.render.quality == 18
    assert config.music.required is False
    assert config.tasks.fallback_categories == ("any",)
    assert (config.render.preset, config.worker.node, config.render.logo) == ("fast", "007", "")


def test_wrong_overrides_are_reported_with_the_mistakes_of_the_file(path: Path) -> None:
    """Everything at once, wherever it comes from."""
    path.write_text("music = 3\n[render]\nqualty = 3\n")
    environ = {
        "REELMILL_RENDER__QUALITY": "high",
        "REELMILL_RANDER__QUALITY": "3",
        "REELMILL_WORKER__POLL__SECONDS": "3",
        "REELMILL_MUSIC__REQUIRED": "true",
    }
    problems = "\n".join(problems_of(path, environ))
    assert 'render.quality = "high": must be a valid integer' in problems
    assert "rander: there is no such key; did you mean [render]?" in problems
    assert "worker.poll__seconds: there is no such key; did you mean worker.poll_seconds?" in problems
    assert "render.qualty: there is no such key" in problems
    assert "REELMILL_MUSIC__REQUIRED: [music] is not a table in config.toml" in problems


@pytest.mark.parametrize("content", [b"[render\n", b"a = \n", b"\xff\xfe", b"[render]\nquality = 1\nquality = 2\n"])
def test_a_file_that_is_no_toml_is_one_problem_that_names_it(path: Path, content: bytes) -> None:
    """With what the parser found."""
    path.write_bytes(content)
    (problem,) = problems_of(path)
    assert f"{path} is not valid TOML" in problem


def test_a_missing_or_unreadable_file_is_named(path: Path) -> None:
    """A mistyped --config is no reason to run with the defaults."""
    assert problems_of(path) == (f"there is no file {path}; name another with --config",)
    path.mkdir()
    (problem,) = problems_of(path)
    assert problem.startswith(f"{path} cannot be read: ")


def test_hostile_text_in_a_value_is_made_visible(path: Path) -> None:
    """No control character of a file reaches the terminal."""
    path.write_text('[render]\nresolution = "\\u001b[31m"\n"a\\u001b" = 1\n')
    assert all(problem.isprintable() for problem in problems_of(path))


def test_the_written_configuration_reads_back_as_the_defaults(path: Path) -> None:
    """What `reelmill init` writes changes nothing."""
    path.write_text(default_text(), "utf-8")
    assert load_config(path, {}) == Config()


def test_the_written_configuration_explains_every_key() -> None:
    """Each key stands below a line of explanation, and none is forgotten."""
    lines = default_text().splitlines()
    values = tomllib.loads(default_text())
    for section, field in Tables.model_fields.items():
        assert f"[{section}]" in lines
        keys = getattr(field.annotation, "model_fields", {})
        assert list(values[section]) == list(keys)
        start = lines.index(f"[{section}]")
        for key, described in keys.items():
            at = next(i for i in range(start, len(lines)) if lines[i].startswith(f"{key} = "))
            assert described.description
            assert lines[at - 1].startswith(f"# {described.description}")


def test_bounds_and_choices_are_written_out() -> None:
    """People see what is allowed before they try."""
    text = default_text()
    assert (
        "# Constant quality, on x264's scale (CRF), whatever encodes: lower is better and larger. From 0 to 51.\n"
        in text
    )
    assert "One of: DEBUG, INFO, WARN, ERROR.\n" in text
    assert "# Starts before a task is given up, even those that do not count as attempts. At least 1.\n" in text
    assert "in dBFS, is silence. At most 0.\n" in text


def test_changed_values_are_written_and_read_back(path: Path) -> None:
    """The demo writes its own values this way."""
    render = {"logo": 'lö"go.png', "frame_rate": 29.97}
    changes: dict[str, dict[str, object]] = {"render": render, "tasks": {"fallback_categories": ("a", "b")}}
    path.write_text(default_text(changes), "utf-8")
    config = load_config(path, {})
    assert (config.render.logo, config.render.frame_rate) == ('lö"go.png', 29.97)
    assert config.tasks.fallback_categories == ("a", "b")


# -- profiles ----------------------------------------------------------------------------------------------


def test_a_profile_is_laid_over_the_other_tables(path: Path) -> None:
    """What it does not say is as in [render] and [mix], also where the environment says it."""
    path.write_text(
        '[render]\nquality = 19\npreset = "slow"\n[mix]\nduck_db = 6\n[tasks]\nprofiles = ["default", "shorts"]\n'
        '[profiles.shorts]\nresolution = "1080x1920"\npreset = "fast"\n[profiles.shorts.mix]\nloudness_lufs = -16\n'
    )
    config = load_config(path, {"REELMILL_RENDER__FIT": "blur"})
    shorts, usual = config.profile("shorts"), config.profile("default")
    assert (usual.render, usual.mix) == (config.render, config.mix)
    assert (usual.render.resolution, usual.render.preset, usual.render.fit) == ("1920x1080", "slow", "blur")
    assert (shorts.render.resolution, shorts.render.preset, shorts.render.fit) == ("1080x1920", "fast", "blur")
    assert (shorts.render.quality, shorts.mix.duck_db, shorts.mix.loudness_lufs) == (19, 6, -16)
    assert shorts.own == {"resolution", "preset"}
    assert config.profile_names == ("default", "shorts")


def test_a_profile_that_is_not_there_is_told_with_the_nearest_name(path: Path) -> None:
    """Or with all there are."""
    path.write_text("[profiles.shorts]\n")
    config = load_config(path, {})
    with pytest.raises(UnknownProfile, match=r'no profile "short" .* did you mean shorts\?'):
        config.profile("short")
    with pytest.raises(UnknownProfile, match="there is default, shorts"):
        config.profile("4k")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[profiles.a]\nqualty = 3\n", "profiles.a.qualty: there is no such key; did you mean quality?"),
        ('[metrics]\nlisten = "a.example:99999"\n', 'metrics.listen = "a.example:99999": must be HOST:PORT with a'),
        ('[metrics]\nlisten = "9842"\n', 'metrics.listen = "9842": must be HOST:PORT with a port up to 65535, such as'),
        ('[web]\nlisten = ""\n', 'web.listen = "": must be HOST:PORT'),
        ("[profiles.a]\nquality = 99\n", "profiles.a.quality = 99: must be less than or equal to 51"),
        ("[profiles.a.mix]\nduck_db = 99\n", "profiles.a.mix.duck_db = 99: must be less than or equal to 15"),
        ("[profiles.a]\nmix = 3\n", "profiles.a: must be a table with keys of [render], and of [mix] in"),
        ("[profiles]\na = 3\n", "profiles.a: must be a table with keys of [render], and of [mix] in"),
        ("profiles = 3\n", "profiles = 3: must be tables, such as [profiles.shorts]"),
        ("[profiles.default]\n", 'profiles.default: a name is small letters, digits, "-" and "_", and not "default"'),
        ('[profiles."../a"]\n', 'profiles.../a: a name is small letters, digits, "-" and "_", and not "default"'),
        ('[profiles.a]\nencoder = "videotoolbox"\ncodec = "av1"\n', 'profiles.a.codec = "av1": must be h264 or hevc'),
        ('[tasks]\nprofiles = ["b"]\n', 'tasks.profiles: there is no profile "b" in the configuration'),
        ("[tasks]\nprofiles = []\n", "tasks.profiles = []: must be"),
        (
            '[tasks]\ncategory_profiles = {"Deep Sea" = ["default"], Deep_Sea = ["default"]}\n',
            "tasks.category_profiles: 'Deep Sea' and 'Deep_Sea' are one category, Deep_Sea, in the library",
        ),
        (
            '[tasks]\ncategory_profiles = {news = ["b"]}\n',
            'tasks.category_profiles.news: there is no profile "b" in the configuration; there is default',
        ),
    ],
)
def test_what_is_wrong_with_profiles_is_told(path: Path, text: str, problem: str) -> None:
    """With its key, as ever."""
    path.write_text(text)
    (found,) = problems_of(path)
    assert found.startswith(problem)


def test_a_mistake_in_the_usual_tables_is_told_once(path: Path) -> None:
    """Not again by every profile that takes it over."""
    path.write_text("[render]\nquality = 99\n[profiles.a]\n[profiles.b]\n")
    assert problems_of(path) == ("render.quality = 99: must be less than or equal to 51",)


def test_av1_has_no_place_in_quicktime(tmp_path: Path) -> None:
    """Said with the key, in a profile too."""
    path = tmp_path / "config.toml"
    path.write_text('[render]\ncodec = "av1"\n[profiles.apple]\noutput_format = "mov"\n', "utf-8")
    with pytest.raises(ConfigError, match=r'profiles\.apple\.output_format = "mov": must be mp4 or mkv'):
        load_config(path)


def test_an_alert_that_does_not_exist_is_one_problem_with_all_that_do(path: Path) -> None:
    """Its place in the list is named."""
    path.write_text('[alerts]\nevents = ["task_failed", "everything"]\n')
    (problem,) = problems_of(path)
    assert problem.startswith("alerts.events.1 = \"everything\": must be 'video_finished', 'task_failed',")
