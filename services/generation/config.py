"""bot.yaml's `generation` section."""

from pydantic import BaseModel, ConfigDict, Field


class GenerationConfig(BaseModel):
    """prompt_tokens  most tokens of history for a reply; the model's context may be shorter"""

    model_config = ConfigDict(frozen=True, extra="forbid")

    prompt_tokens: int = Field(default=640, ge=16, le=1920)
