"""bot.yaml's `extraction` section."""

from datetime import timedelta

from pydantic import BaseModel, ConfigDict, Field


class ExtractionConfig(BaseModel):
    """How messages become records.

    persona          `auto` (the most talkative sender), `whole-chat`, a name, or an id like user123
    pause_minutes    silence after which a new session begins
    context_turns    turns before the answer, in records of a whole chat
    heldout_share    the latest part of the records, kept from training
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    persona: str = Field(default="auto", min_length=1)
    pause_minutes: float = Field(default=60.0, gt=0.0)
    context_turns: int = Field(default=4, ge=1, le=64)
    heldout_share: float = Field(default=0.1, ge=0.0, le=0.5)

    @property
    def pause(self) -> timedelta:
        return timedelta(minutes=self.pause_minutes)
