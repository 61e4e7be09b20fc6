"""bot.yaml's `generation` section."""

from pydantic import BaseModel, ConfigDict, Field


class GenerationConfig(BaseModel):
    """How much of a conversation a reply is based on.

    prompt_turns   most turns, the newest ones; for the bot of a whole chat about as many as
                   `extraction.context_turns`: a model knows no longer conversations than it learned
    prompt_tokens  most tokens of these turns; the model's context may be shorter
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    prompt_turns: int = Field(default=32, ge=1, le=256)
    prompt_tokens: int = Field(default=640, ge=16, le=1920)
