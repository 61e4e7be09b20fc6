"""bot.yaml's `training` section, with the reasons of its defaults."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

DEFAULT_BASE = "ai-forever/rugpt3small_based_on_gpt2"

SMALL_MODEL = 30_000_000
"""Below this many parameters a model has little to forget and needs larger steps."""


class TrainingConfig(BaseModel):
    """How a base becomes a persona.

    base             a folder, a hub name, `demo`, or `scratch` (a tiny one made on the spot)
    loss_on          `persona`: learn only what the persona says; `all`: every turn
    learning_rate    peak of the cosine; absent: 2e-3 for models under 30 M parameters (held-out
                     loss of the demo's Polkson after 4 epochs: 2.12, against 2.28 at 1e-3), else
                     run_clm's 5e-5
    tokens_per_step  tokens in one optimizer step: small data sets gain from many steps (held-out
                     loss at 1e-3: 2.55 with 2,048 tokens a step, 2.28 with 1,024)
    block_tokens     length of a packed block; records longer than it are cut into windows
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    base: str = Field(default=DEFAULT_BASE, min_length=1)
    epochs: float = Field(default=3.0, gt=0.0, le=1000.0)
    max_steps: int | None = Field(default=None, ge=1)
    learning_rate: float | None = Field(default=None, gt=0.0, lt=1.0)
    warmup_share: float = Field(default=0.05, ge=0.0, lt=1.0)
    weight_decay: float = Field(default=0.01, ge=0.0)
    tokens_per_step: int = Field(default=1024, ge=16)
    block_tokens: int = Field(default=128, ge=16, le=2048)
    loss_on: Literal["persona", "all"] = "persona"
    seed: int = 1

    def rate_for(self, parameters: int) -> float:
        """The peak learning rate for a model of that size."""
        if self.learning_rate is not None:
            return self.learning_rate
        return 2e-3 if parameters < SMALL_MODEL else 5e-5
