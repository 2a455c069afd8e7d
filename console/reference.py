"""Writes what is generated from the code: config.toml, its page, systemd/, project_root/, docs/schema/, console/share/.

Run by ``make reference``; a test fails when a generated file is not what this would write.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from console.cli import main as command
from console.farm.snapshot import Snapshot
from console.manual import shared_files
from console.readmes import README_TEXTS
from console.units import Place, units_of
from shared.config_text import default_text, page_text
from shared.domain.layout import Layout
from shared.records.agenda import AgendaRecord
from shared.records.alerts import AlertsRecord
from shared.records.attempt import AttemptRecord
from shared.records.cards import CardsRecord
from shared.records.encoders import EncodersRecord
from shared.records.figures import FiguresLine, FiguresRecord
from shared.records.lease import LeaseRecord
from shared.records.lock import LockRecord
from shared.records.main import MainRecord
from shared.records.metadata import Metadata
from shared.records.mounts import MountsRecord
from shared.records.node import NodeRecord
from shared.records.orders import OrdersRecord
from shared.records.reason import Reason
from shared.records.record import Record
from shared.records.render import RenderRecord
from shared.records.retired import RetiredRecord
from shared.records.retries import RetriesRecord
from shared.records.segment import SegmentRecord
from shared.records.sidecar import Sidecar

_SCHEMAS: dict[str, type[Record]] = {
    "agenda": AgendaRecord,
    "alerts": AlertsRecord,
    "attempt": AttemptRecord,
    "cards": CardsRecord,
    "encoders": EncodersRecord,
    "figures": FiguresRecord,
    "figures_line": FiguresLine,
    "lease": LeaseRecord,
    "lock": LockRecord,
    "main_worker": MainRecord,
    "metadata": Metadata,
    "mounts": MountsRecord,
    "node": NodeRecord,
    "orders": OrdersRecord,
    "reason": Reason,
    "render": RenderRecord,
    "retired": RetiredRecord,
    "retries": RetriesRecord,
    "segment": SegmentRecord,
    "sidecar": Sidecar,
}


def generated() -> Iterator[tuple[Path, str]]:
    """Every generated file, relative to the repository, with its content."""
    yield Path("config.toml"), default_text()
    yield Path("docs/configuration.md"), page_text()
    example = Place(Path("/srv/reelmill"), Path("/opt/reelmill/bin/reelmill"), "reelmill", "reelmill")
    for name, text in units_of(example).items():
        yield Path("systemd", name), text
    for folder, text in README_TEXTS.items():
        yield Path("project_root", folder, "README.md"), text
    empty = Layout(Path("project_root"))
    for path in empty.folders():
        if empty.farm not in path.parents and str(path.relative_to(empty.root)) not in README_TEXTS:
            yield path / ".gitkeep", ""
    for name, record in _SCHEMAS.items():
        schema = record.model_json_schema(by_alias=True)
        yield Path("docs/schema", f"{name}.json"), json.dumps(schema, indent=2) + "\n"
    for path, text in shared_files(command):
        yield Path("console") / path, text
    status = Snapshot.model_json_schema(by_alias=True, mode="serialization")
    yield Path("docs/schema/status.json"), json.dumps(status, indent=2) + "\n"


def main() -> None:
    for path, text in generated():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")


if __name__ == "__main__":
    main()
