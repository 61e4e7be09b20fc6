"""Settings come from the environment, are frozen, and are refused by name and value."""

from pathlib import Path
from typing import Literal

import pytest
from pydantic import Field, ValidationError

from contracts.refusal import Refusal
from contracts.settings import Settings, Volumes, from_environment


class Example(Settings):
    example_port: int = Field(default=50051, ge=1, le=65535)
    example_mode: Literal["fast", "exact"] = "fast"


class Required(Settings):
    example_token: str


def test_values_are_read_from_variables_in_capitals_and_have_defaults(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert from_environment(Example) == Example(example_port=50051, example_mode="fast")
    monkeypatch.setenv("EXAMPLE_PORT", "8080")
    assert from_environment(Example).example_port == 8080


@pytest.mark.parametrize(
    ("variable", "value", "allowed"),
    [
        ("EXAMPLE_PORT", "lots", "valid integer"),
        ("EXAMPLE_PORT", "", "valid integer"),
        ("EXAMPLE_PORT", "70000", "less than or equal to 65535"),
        ("EXAMPLE_MODE", "slow", "'fast' or 'exact'"),
    ],
)
def test_a_bad_value_is_refused_with_its_variable_and_what_is_allowed(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, allowed: str
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(Refusal) as refused:
        from_environment(Example)
    assert str(refused.value).startswith(f"environment: {variable}: ")
    assert f"given: {value!r}" in str(refused.value)
    assert allowed in str(refused.value)


def test_a_missing_variable_is_named() -> None:
    with pytest.raises(Refusal, match="EXAMPLE_TOKEN: is required"):
        from_environment(Required)


def test_settings_are_frozen() -> None:
    settings = from_environment(Example)
    with pytest.raises(ValidationError, match="frozen"):
        settings.example_port = 1  # type: ignore[misc]


def test_volumes_are_one_tree_for_all_rooms() -> None:
    volumes = Volumes(data_dir=Path("/data"), models_dir=Path("/models"), base_dir=Path("/base"))
    assert volumes.exports("avtobus") == Path("/data/avtobus/exports")
    assert volumes.dataset("avtobus") == Path("/data/avtobus/dataset")
    assert volumes.run("avtobus") == Path("/data/avtobus/run")
    assert volumes.models("avtobus") == Path("/models/avtobus")
    assert volumes.base("ai-forever/rugpt3small") == Path("/base/ai-forever--rugpt3small")
