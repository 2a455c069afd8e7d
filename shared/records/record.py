"""What all records share: a version number, frozen values, and keys of other versions kept."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from shared.domain.errors import ReelmillError
from shared.files import write_atomic


class RecordError(ReelmillError):
    """A record on disk is not what it should be."""


class Record(BaseModel):
    """A JSON file. Unknown keys survive a round trip, so that neighbouring versions can share a root."""

    model_config = ConfigDict(frozen=True, extra="allow", populate_by_name=True)

    version: int = Field(1, alias="schema", description="Version of this format.")

    def to_bytes(self) -> bytes:
        """The file's content: indented UTF-8 JSON, ending in a newline."""
        values = self.model_dump(mode="json", by_alias=True)
        return (json.dumps(values, indent=2, ensure_ascii=True) + "\n").encode()

    def write(self, path: Path, by: Path | None = None) -> None:
        """Replace or create the file, whole; `by` as for :func:`shared.files.write_atomic`."""
        write_atomic(path, self.to_bytes(), by)

    @classmethod
    def from_bytes(cls, content: bytes, source: str) -> Self:
        """Parse a record.

        Raises:
            RecordError: naming `source` and every wrong key.
        """
        try:
            return cls.model_validate(json.loads(content))
        except ValidationError as error:
            wrong = "; ".join(f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in error.errors())
            raise RecordError(f"{source} is not a valid {cls.__name__}: {wrong}") from error
        except (ValueError, RecursionError) as error:
            raise RecordError(f"{source} is not JSON: {error}") from error

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a record.

        Raises:
            FileNotFoundError: there is none.
            RecordError: it is damaged.
        """
        return cls.from_bytes(path.read_bytes(), str(path))

    def changed(self, **values: Any) -> Self:
        """A copy with some values replaced."""
        return self.model_copy(update=values)


def utc_now() -> str:
    """The present as UTC ISO 8601 with ``Z``, for people and history; of versions of one thing the later one counts."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"
