"""bot.yaml's `training` section with the reasons for its defaults, and options that change it."""

from typing import Annotated, Literal

import typer
from pydantic import BaseModel, ConfigDict, Field

BaseOption = Annotated[
    str | None, typer.Option(help="A folder, a hub name, or demo; instead of bot.yaml's.")
]
EpochsOption = Annotated[float | None, typer.Option(help="Passes over the data set.")]
StepsOption = Annotated[
    int | None, typer.Option(help="Stop after so many steps, if the epochs last that long.")
]
MethodOption = Annotated[str | None, typer.Option(help="full, or lora: half the memory.")]

DEFAULT_BASE = "ai-forever/rugpt3small_based_on_gpt2@a9307e696cd3c5b7f953ff4cb19d76a4d81821d5"

SMALL_MODEL = 30_000_000
"""Parameters below which a model has little to forget and needs larger steps."""
SMALL_RATE, LORA_RATE = 5e-4, 3e-4
FEW = 1_000
"""Documents up to which a small model needs smaller steps."""
EPOCHS = ((1_000, 10.0), (10_000, 5.0), (50_000, 3.0))
"""(documents, passes): the first row with enough documents; 1 above. Most runs stop earlier."""


class TrainingConfig(BaseModel):
    """How a base becomes a persona.

    base                    a folder, `demo`, or a hub name `owner/name@commit`; without the commit
                            it is the hub's newest
    method                  `full`: all weights learn; `lora`: low-rank additions learn and are
                            merged at the end, in half the memory and a third faster
    lora_rank               rank of the additions; their scale is twice the rank
    epochs                  passes over the data set; without it 10 up to 1,000 documents, 5 up to
                            10,000, 3 up to 50,000, otherwise 1
    max_steps               most optimizer steps, if the epochs last that long
    patience                measurements of the held-out loss without a gain after which training
                            stops; with 0 it never stops early
    measure_share           share of the run between two such measurements
    learning_rate           peak of the cosine; without it 5e-5, as in run_clm, and 3e-4 with LoRA;
                            for models under 30 M parameters 5e-4, and 1e-4 up to 1,000 documents
    warmup_share            share of the steps in which the learning rate rises
    weight_decay            of AdamW
    tokens_per_step         tokens in one optimizer step
    tokens_at_once          most tokens in one pass; a step with more accumulates gradients; without
                            it 1,024, and 512 with LoRA
    block_tokens            length of a packed block; a longer record loses its oldest turns
    gradient_checkpointing  whether to compute activations twice instead of keeping them
    precision               `auto`: bfloat16 where the hardware multiplies it, otherwise fp32
    weights                 of the served model; `auto`: int4 if its perplexity on the held-out part
                            is within 1 % of the trained model's, otherwise int8
    checkpoint_minutes      minutes between two checkpoints; a killed run resumes from the last one
    seed                    of the order of the data and of dropout
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    base: str = Field(default=DEFAULT_BASE, min_length=1)
    method: Literal["full", "lora"] = "full"
    lora_rank: int = Field(default=16, ge=1, le=256)
    epochs: float | None = Field(default=None, gt=0.0, le=1000.0)
    max_steps: int | None = Field(default=None, ge=1)
    patience: int = Field(default=3, ge=0)
    measure_share: float = Field(default=0.1, gt=0.0, le=1.0)
    # held-out loss of a small model after 250 steps on 7,200 documents: 4.38 at 5e-4, 4.65 at 2e-3;
    # on 83 documents: 5.06 at 1e-4, 5.12 at 3e-4, 5.73 at 2e-3
    learning_rate: float | None = Field(default=None, gt=0.0, lt=1.0)
    warmup_share: float = Field(default=0.05, ge=0.0, lt=1.0)
    weight_decay: float = Field(default=0.01, ge=0.0)
    # small data sets gain from many steps: held-out loss 2.55 with 2,048 tokens, 2.28 with 1,024
    tokens_per_step: int = Field(default=1024, ge=16)
    # LoRA's 512 save a fifth of a GB for 2 % of the speed; in full training they would cost memory,
    # since gradients are kept between passes
    tokens_at_once: int | None = Field(default=None, ge=16)
    block_tokens: int = Field(default=128, ge=16, le=2048)
    gradient_checkpointing: bool = False
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    weights: Literal["auto", "int4", "int8"] = "auto"
    checkpoint_minutes: float = Field(default=5.0, ge=0.0)
    seed: int = 1

    def rate_for(self, parameters: int, documents: int) -> float:
        """The peak learning rate for a model and a data set of those sizes."""
        if self.learning_rate is not None:
            return self.learning_rate
        if parameters < SMALL_MODEL:
            return SMALL_RATE if documents > FEW else SMALL_RATE / 5
        return LORA_RATE if self.method == "lora" else 5e-5

    @property
    def pass_tokens(self) -> int:
        """Most tokens in one pass over the model."""
        return self.tokens_at_once or (512 if self.method == "lora" else 1024)

    def epochs_for(self, documents: int) -> float:
        """Passes over a data set of that size."""
        if self.epochs is not None:
            return self.epochs
        return next((epochs for most, epochs in EPOCHS if documents <= most), 1.0)
