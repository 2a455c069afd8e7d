"""The ``reelmill`` command. Exit statuses: 0 fine, 1 something failed, 2 wrong usage or configuration."""

from __future__ import annotations

import click

from console.cancel import cancel
from console.demo import demo
from console.doctor import doctor
from console.duty import drain, hours, pause, resume
from console.history import history
from console.init import init
from console.logs import logs
from console.nodes import nodes_command
from console.priority import priority
from console.retire import retire
from console.retry import retry
from console.run import run
from console.saying import PlainUsage
from console.scan import scan
from console.service import service
from console.show import show
from console.status import status
from console.tasks import tasks_command
from console.top import top
from console.web.command import web
from console.where import where
from console.workers import main_worker, render_worker
from shared.version import PROGRAM


@click.group(cls=PlainUsage, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(PROGRAM, prog_name="reelmill")
def main() -> None:
    """Reelmill: drop media and text into raw/, find finished narrated videos in output/."""


for command in (
    *(init, main_worker, render_worker, run, scan, demo, doctor, service),
    *(status, top, tasks_command, nodes_command, show, where, history, logs, web),
    *(retry, cancel, priority, pause, resume, drain, hours, retire),
):
    main.add_command(command)
