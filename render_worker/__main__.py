"""``python -m render_worker``: one render worker in the foreground. `reelmill render` becomes this program."""

from __future__ import annotations

import sys

from render_worker.commands.encoders import choose_encoder
from render_worker.daemon import RenderWorker, Tools
from render_worker.identity import node_identity
from render_worker.plans import print_plans
from shared.ffmpeg import find_ffmpeg
from shared.log import log_to_file
from shared.process import Started, on_stop_signals, run_worker
from shared.recovery import agree_on_lease

DRY_RUN = "dry-run"


def work(started: Started) -> None:
    config, layout = started.config, started.layout
    tools = Tools(find_ffmpeg(config.ffmpeg.path), choose_encoder(config.render.encoder).name)
    if started.mode == DRY_RUN:
        print_plans(config, layout, tools.ffmpeg, tools.encoder)
        return
    lease = agree_on_lease(layout, config.worker.lease_seconds, config.worker.heartbeat_seconds)
    with node_identity(layout, config.worker.node) as node:
        log_to_file(config.log, layout.log_file("render_worker", node))
        worker = RenderWorker(config, layout, node, lease, tools, started.log)
        on_stop_signals(worker.stop)
        worker.run()


if __name__ == "__main__":
    sys.exit(run_worker("render_worker", sys.argv[1:], work, modes=(DRY_RUN,), changes_nothing=DRY_RUN))
