"""Sampling accepts what a sampler can do and refuses the rest by field."""

import pytest
from pydantic import ValidationError

from contracts.sampling import MAX_NEW_TOKENS, Sampling


@pytest.mark.parametrize(
    ("field", "values"),
    [
        ("temperature", [0.0, 2.0]),
        ("top_p", [0.01, 1.0]),
        ("top_k", [0, 1000]),
        ("repetition", [1.0, 2.0]),
        ("frequency", [-2.0, 2.0]),
        ("presence", [-2.0, 2.0]),
        ("stop", [(), ("\n", "a", "b", "c" * 32)]),
        ("max_new_tokens", [1, MAX_NEW_TOKENS]),
    ],
)
def test_both_ends_of_a_range_are_allowed(field: str, values: list[object]) -> None:
    for value in values:
        assert getattr(Sampling.model_validate({field: value}), field) == value


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("temperature", -0.1),
        ("temperature", 2.1),
        ("temperature", float("nan")),
        ("top_p", 0.0),
        ("top_p", 1.1),
        ("top_k", -1),
        ("top_k", 1001),
        ("repetition", 0.9),
        ("frequency", -2.1),
        ("presence", 2.1),
        ("stop", [""]),
        ("stop", ["x" * 33]),
        ("stop", ["1", "2", "3", "4", "5"]),
        ("max_new_tokens", 0),
        ("max_new_tokens", MAX_NEW_TOKENS + 1),
        ("beams", 4),
    ],
)
def test_values_outside_are_refused_by_field(field: str, value: object) -> None:
    with pytest.raises(ValidationError) as refused:
        Sampling.model_validate({field: value})
    assert refused.value.errors()[0]["loc"][0] == field


def test_sampling_is_frozen() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        Sampling().top_k = 1  # type: ignore[misc]
