"""bot.yaml's `generation` section."""

from pydantic import BaseModel, ConfigDict, Field


class GenerationConfig(BaseModel):
    """How much of a conversation a reply is based on, besides the version's turns.

    prompt_tokens  most tokens of the turns; the model's context may be shorter
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    prompt_tokens: int = Field(default=640, ge=16, le=1920)
