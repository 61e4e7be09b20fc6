"""bot.yaml's `sampling` section: how the next token is chosen, in serving and in evaluation."""

from collections.abc import Collection
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

MAX_NEW_TOKENS = 128
"""Longest reply in tokens that a request or a bot file may ask for."""
CANDIDATES = 2
"""Replies that are drawn for one that is sent: the first may be blocked, or said lately."""

StopString = Annotated[str, Field(min_length=1, max_length=32)]


class Sampling(BaseModel):
    """How the next token is chosen, in serving and in evaluation.

    temperature     0 always takes the likeliest token
    top_p           share of the probability that is drawn from
    top_k           number of tokens that are drawn from; 0 is no limit
    repetition      penalty on tokens that were seen before, in the prompt or the reply; 1 is none
    frequency       penalty by how often a token was generated
    presence        penalty on tokens that were generated at all
    stop            at most four strings at which a reply ends
    max_new_tokens  most tokens of a reply
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    temperature: float = Field(default=0.8, ge=0.0, le=2.0)
    top_p: float = Field(default=0.9, gt=0.0, le=1.0)
    top_k: int = Field(default=50, ge=0, le=1000)
    repetition: float = Field(default=1.1, ge=1.0, le=2.0)
    frequency: float = Field(default=0.0, ge=-2.0, le=2.0)
    presence: float = Field(default=0.0, ge=-2.0, le=2.0)
    stop: tuple[StopString, ...] = Field(default=(), max_length=4)
    max_new_tokens: int = Field(default=MAX_NEW_TOKENS, ge=1, le=MAX_NEW_TOKENS)

    def openvino_options(
        self, seed: int, stop_ids: Collection[int], max_new_tokens: int
    ) -> dict[str, Any]:
        """Return the arguments of OpenVINO's GenerationConfig, without what does not apply."""
        options: dict[str, Any] = {
            "rng_seed": seed,
            "stop_token_ids": set(stop_ids),
            "max_new_tokens": max_new_tokens,
            "min_new_tokens": 1,  # a reply is never empty
            "do_sample": self.temperature > 0,
            "repetition_penalty": self.repetition,
            "frequency_penalty": self.frequency,
            "presence_penalty": self.presence,
        }
        if self.temperature > 0:
            options |= {"temperature": self.temperature, "top_p": self.top_p}
            options |= {"top_k": self.top_k} if self.top_k else {}
        if stop_ids:
            options["eos_token_id"] = min(stop_ids)  # the token that min_new_tokens forbids
        return options
