"""``python -m render_worker``: one render worker in the foreground. `reelmill render` becomes this program."""

from __future__ import annotations

import functools
import json
import sys
import threading
from collections.abc import Sequence

from render_worker.commands.encoders import HARDWARE, SOFTWARE, Way, encoders_of
from render_worker.daemon import RenderWorker
from render_worker.identity import counts_elsewhere, node_identity
from render_worker.plans import print_plans
from render_worker.root import Root, rooted
from render_worker.trials import Trials, ways
from render_worker.ways import Ways
from shared.config import Config
from shared.domain.errors import MachineTrouble, Stopped
from shared.ffmpeg import find_ffmpeg
from shared.log import log_to_file
from shared.process import Started, on_stop_signals, run_worker
from shared.recovery import agree_on_lease

DRY_RUN, ENCODERS = "dry-run", "encoders"


def work(started: Started) -> None:
    with rooted(started) as root:
        _work(started, root)


def _work(started: Started, root: Root) -> None:
    config, layout = root.config, started.layout
    ffmpeg = find_ffmpeg(config.ffmpeg.path)
    codecs = tuple(dict.fromkeys(config.profile(name).render.codec for name in config.profile_names))
    stop = threading.Event()
    on_stop_signals(stop.set)
    trials = Trials(layout, ffmpeg, stop.is_set, remembers=started.mode != DRY_RUN)
    try:
        if started.mode == ENCODERS:
            for codec in codecs:
                sys.stdout.write(json.dumps(trials.tried(codec).model_dump(mode="json", by_alias=True)) + "\n")
            return
        chosen, measured, troubles = _chosen(trials, config)
    except Stopped:
        return
    if started.mode == DRY_RUN:
        print_plans(config, layout, ffmpeg, Ways({**_where_they_work(config), **chosen}))
        return
    if not chosen:
        raise next(iter(troubles.values()))
    for name, trouble in troubles.items():
        started.log.warning(
            f'Leaving videos of the profile "{name}" to other nodes: {trouble}', name="profile_left_out", profile=name
        )
    lease = agree_on_lease(root.store, config.worker.lease_seconds, config.worker.heartbeat_seconds)
    with node_identity(layout, config.worker.node, lambda name: counts_elsewhere(root.store, name)) as node:
        log_to_file(config.log, layout.log_file("render_worker", node))
        found = Ways(chosen, measured)
        worker = RenderWorker(
            config,
            layout,
            node,
            lease,
            ffmpeg,
            found,
            started.log,
            started.systemd,
            store=root.store,
            hauling=root.hauling,
            self_test=lambda: _works(trials, codecs),
        )
        on_stop_signals(worker.stop)
        if not stop.is_set():
            worker.run()
    if found.gave_up:
        for codec in codecs:
            trials.forget(codec)


def _works(trials: Trials, codecs: Sequence[str]) -> bool:
    """Whether this machine encodes something of each codec, tried just now."""
    return all(any(trial.works for trial in trials.tried(codec).trials) for codec in codecs)


def _chosen(
    trials: Trials, config: Config
) -> tuple[dict[str, tuple[Way, ...]], dict[str, float], dict[str, MachineTrouble]]:
    """What this machine encodes each profile with, how fast its encoders are, and why it cannot encode the others."""
    remembered = functools.cache(trials.remembered)
    chosen, troubles = {}, {}
    measured: dict[str, float] = {}
    for name in config.profile_names:
        render = config.profile(name).render
        families = (*HARDWARE, SOFTWARE) if render.encoder == "auto" else (render.encoder,)
        try:
            record = remembered(render.codec, families)
            measured |= {trial.encoder: trial.fps for trial in record.trials if trial.fps is not None}
            chosen[name] = ways(record, render.encoder, config.table_of(name))
        except MachineTrouble as error:
            troubles[name] = error
    return chosen, measured, troubles


def _where_they_work(config: Config) -> dict[str, tuple[Way, ...]]:
    """What a machine would encode each profile with, where its encoder works."""
    renders = {name: config.profile(name).render for name in config.profile_names}
    return {
        name: (Way(encoders_of(SOFTWARE if render.encoder == "auto" else render.encoder, render.codec)[0].name),)
        for name, render in renders.items()
    }


if __name__ == "__main__":
    sys.exit(run_worker("render_worker", sys.argv[1:], work, modes=(DRY_RUN, ENCODERS), changes_nothing=DRY_RUN))
