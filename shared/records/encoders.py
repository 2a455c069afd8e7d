"""``.farm/cache/encoders/<host>-<user>.<codec>.json``: which video encoders work, as they were last tried."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from shared.records.record import Record


class Trial(BaseModel):
    """What came of trying one encoder."""

    model_config = ConfigDict(frozen=True, extra="allow")

    encoder: str = Field(description="As plans have it: ffmpeg's name, and how it is used where there are two ways.")
    family: str
    works: bool
    fps: float | None = Field(None, description="Frames of 1080p encoded in a second, clips decoded by software.")
    decoder: str | None = Field(None, description="Hardware that decodes clips faster than the processor does.")
    decoder_fps: float | None = Field(None, description="Frames in a second with that.")
    words: str = Field("", description="What the driver or the gate said of it.")
    advice: str = Field("", description="What to do about that.")


class EncodersRecord(Record):
    """All encoders of one codec, the preferred ones first."""

    host: str
    boot: str
    user: int = Field(description="Number of the user who tried them; devices let some in, and others not.")
    ffmpeg: str
    codec: str
    trials: tuple[Trial, ...]
    tried_at: str

    def best(self, family: str | None = None) -> Trial | None:
        """The first that works, of all or of one family."""
        return next((one for one in self.trials if one.works and family in (None, one.family)), None)
