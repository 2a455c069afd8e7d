"""``python -m render_worker``: one render worker in the foreground. `reelmill render` becomes this program."""

from __future__ import annotations

import json
import sys
import threading

from render_worker.commands.encoders import HARDWARE, SOFTWARE, Way, encoders_of
from render_worker.daemon import RenderWorker, Tools
from render_worker.identity import node_identity
from render_worker.plans import print_plans
from render_worker.trials import Trials, ways
from shared.config import Render
from shared.domain.errors import MachineTrouble, Stopped
from shared.ffmpeg import find_ffmpeg
from shared.log import log_to_file
from shared.process import Started, on_stop_signals, run_worker
from shared.recovery import agree_on_lease

DRY_RUN, ENCODERS = "dry-run", "encoders"


def work(started: Started) -> None:
    config, layout = started.config, started.layout
    ffmpeg, codec = find_ffmpeg(config.ffmpeg.path), config.render.codec
    stop = threading.Event()
    on_stop_signals(stop.set)
    trials = Trials(layout, ffmpeg, stop.is_set, remembers=started.mode != DRY_RUN)
    try:
        if started.mode == ENCODERS:
            sys.stdout.write(json.dumps(trials.tried(codec).model_dump(mode="json", by_alias=True)) + "\n")
            return
        tools = Tools(ffmpeg, _chosen(trials, config.render))
    except Stopped:
        return
    except MachineTrouble:
        if started.mode != DRY_RUN:
            raise
        tools = Tools(ffmpeg, (Way(encoders_of(config.render.encoder, codec)[0].name),))  # where it would work
    if started.mode == DRY_RUN:
        print_plans(config, layout, tools.ffmpeg, tools.encoder)
        return
    lease = agree_on_lease(layout, config.worker.lease_seconds, config.worker.heartbeat_seconds)
    with node_identity(layout, config.worker.node) as node:
        log_to_file(config.log, layout.log_file("render_worker", node))
        worker = RenderWorker(config, layout, node, lease, tools, started.log)
        on_stop_signals(worker.stop)
        if not stop.is_set():
            worker.run()
    if worker.gave_up:
        trials.forget(codec)


def _chosen(trials: Trials, render: Render) -> tuple[Way, ...]:
    """What this machine encodes with."""
    families = (*HARDWARE, SOFTWARE) if render.encoder == "auto" else (render.encoder,)
    return ways(trials.remembered(render.codec, families), render.encoder)


if __name__ == "__main__":
    sys.exit(run_worker("render_worker", sys.argv[1:], work, modes=(DRY_RUN, ENCODERS), changes_nothing=DRY_RUN))
