"""Sampling accepts what a sampler can do and refuses the rest by field."""

import math

import pytest
from pydantic import ValidationError

from contracts.sampling import MAX_NEW_TOKENS, Sampling

RANGES: list[tuple[str, list[object], list[object]]] = [
    ("temperature", [0.0, 2.0], [-0.1, 2.1, math.nan]),
    ("top_p", [0.01, 1.0], [0.0, 1.1]),
    ("top_k", [0, 1000], [-1, 1001]),
    ("repetition", [1.0, 2.0], [0.9, 2.1]),
    ("frequency", [-2.0, 2.0], [-2.1, 2.1]),
    ("presence", [-2.0, 2.0], [-2.1, 2.1]),
    ("stop", [(), ("\n", "a", "b", "c" * 32)], [[""], ["x" * 33], ["1", "2", "3", "4", "5"]]),
    ("max_new_tokens", [1, MAX_NEW_TOKENS], [0, MAX_NEW_TOKENS + 1]),
    ("beams", [], [4]),
]


@pytest.mark.parametrize(("field", "allowed", "refused"), RANGES)
def test_both_ends_of_a_range_are_allowed_and_values_outside_are_refused_by_field(
    field: str, allowed: list[object], refused: list[object]
) -> None:
    for value in allowed:
        assert getattr(Sampling.model_validate({field: value}), field) == value
    for value in refused:
        with pytest.raises(ValidationError) as error:
            Sampling.model_validate({field: value})
        assert error.value.errors()[0]["loc"][0] == field


def test_sampling_is_frozen() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        Sampling().top_k = 1  # type: ignore[misc]
