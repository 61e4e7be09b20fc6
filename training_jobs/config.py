"""bot.yaml's `training` section, with the reasons of its defaults."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

DEFAULT_BASE = "ai-forever/rugpt3small_based_on_gpt2"

SMALL_MODEL = 30_000_000
"""Below this many parameters a model has little to forget and needs larger steps."""
LORA_RATE = 3e-4
EPOCHS = ((1_000, 10.0), (10_000, 5.0), (50_000, 3.0))
"""Passes by persona turns up to a number; above all of them 1. Early stopping ends most sooner."""


class TrainingConfig(BaseModel):
    """How a base becomes a persona.

    base                    a folder, a hub name, `demo`, or `scratch` (a tiny one made on the spot)
    method                  `full`: all weights; `lora`: low-rank additions, merged at the end: half
                            the memory, a third faster
    lora_rank               of the additions; their scale is twice the rank
    epochs                  passes over the data set; absent: by its size
    patience                measurements of the held-out loss without a gain after which it stops;
                            0 never stops early
    measure_share           part of the run between two such measurements
    loss_on                 `persona`: learn only what the persona says; `all`: every turn
    learning_rate           peak of the cosine; absent: 2e-3 for models under 30 M parameters
                            (held-out loss of the demo's Polkson after 4 epochs: 2.12, against 2.28
                            at 1e-3), else run_clm's 5e-5; 3e-4 with LoRA
    tokens_per_step         tokens in one optimizer step: small data sets gain from many steps
                            (held-out loss at 1e-3: 2.55 with 2,048 tokens a step, 2.28 with 1,024)
    tokens_at_once          most tokens in one pass; a step with more accumulates
    block_tokens            length of a packed block; records longer than it are cut into windows
    gradient_checkpointing  compute activations twice instead of keeping them
    precision               `auto`: bfloat16 where the hardware multiplies it
    weights                 of the served model; `auto`: int4 where its perplexity on the held-out
                            part is within 1 % of the trained model's, else int8
    checkpoint_minutes      between two checkpoints from which a killed run goes on
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    base: str = Field(default=DEFAULT_BASE, min_length=1)
    method: Literal["full", "lora"] = "full"
    lora_rank: int = Field(default=16, ge=1, le=256)
    epochs: float | None = Field(default=None, gt=0.0, le=1000.0)
    max_steps: int | None = Field(default=None, ge=1)
    patience: int = Field(default=3, ge=0)
    measure_share: float = Field(default=0.1, gt=0.0, le=1.0)
    learning_rate: float | None = Field(default=None, gt=0.0, lt=1.0)
    warmup_share: float = Field(default=0.05, ge=0.0, lt=1.0)
    weight_decay: float = Field(default=0.01, ge=0.0)
    tokens_per_step: int = Field(default=1024, ge=16)
    tokens_at_once: int = Field(default=1024, ge=16)
    block_tokens: int = Field(default=128, ge=16, le=2048)
    gradient_checkpointing: bool = False
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    weights: Literal["auto", "int4", "int8"] = "auto"
    loss_on: Literal["persona", "all"] = "persona"
    checkpoint_minutes: float = Field(default=5.0, ge=0.0)
    seed: int = 1

    def rate_for(self, parameters: int) -> float:
        """The peak learning rate for a model of that size."""
        if self.learning_rate is not None:
            return self.learning_rate
        if parameters < SMALL_MODEL:
            return 2e-3
        return LORA_RATE if self.method == "lora" else 5e-5

    def epochs_for(self, persona_turns: int) -> float:
        """Passes over a data set of that size."""
        if self.epochs is not None:
            return self.epochs
        return next((epochs for most, epochs in EPOCHS if persona_turns <= most), 1.0)
