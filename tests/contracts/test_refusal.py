"""A refusal names the source, the path and the value, and ends a process in one line."""

from pathlib import Path

import pytest
from pydantic import BaseModel, Field, field_validator

from contracts.refusal import Refusal, end_process, parse


class Inner(BaseModel, extra="forbid"):
    size: int = Field(default=1, ge=1)
    word: str = "ok"

    @field_validator("word")
    @classmethod
    def _known(cls, word: str) -> str:
        if word != "ok":
            raise ValueError("Must be ok")
        return word


class Outer(BaseModel, extra="forbid"):
    inner: Inner
    sizes: list[int] = []


@pytest.mark.parametrize(
    ("values", "path", "text"),
    [
        ({}, "box.inner", "is required and was not given"),
        ({"inner": {}, "colour": 1}, "box.colour", "unknown key"),
        ({"inner": {"colour": 1}}, "box.inner.colour", "unknown key"),
        ({"inner": {"word": "no"}}, "box.inner.word", "must be ok (given: 'no')"),
        ({"inner": {"word": "y" * 5000}}, "box.inner.word", f"must be ok (given: '{'y' * 99})"),
        (
            {"inner": {}, "sizes": [1, "x"]},
            "box.sizes.1",
            "input should be a valid integer, unable to parse string as an integer (given: 'x')",
        ),
        (5, "box", "input should be a valid dictionary or instance of Outer (given: 5)"),
    ],
)
def test_a_bad_value_is_named_by_path_value_and_what_is_allowed(
    values: object, path: str, text: str
) -> None:
    with pytest.raises(Refusal) as refused:
        parse(Outer, values, "bot.yaml", "box.")
    assert str(refused.value) == f"bot.yaml: {path}: {text}"


def test_all_bad_values_are_named_at_once_and_good_ones_are_returned() -> None:
    with pytest.raises(Refusal, match=r"bot.yaml: inner\.size: .*; colour: unknown key"):
        parse(Outer, {"inner": {"size": 0}, "colour": 1}, "bot.yaml")
    assert parse(Outer, {"inner": {"size": 3}}, "bot.yaml") == Outer(inner=Inner(size=3))


def test_a_refused_process_ends_with_code_2_and_one_line_that_a_pod_keeps(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    reason = tmp_path / "termination-log"
    monkeypatch.setattr("contracts.refusal.TERMINATION_LOG", reason)
    for _ in range(2):  # on a laptop, then in a pod
        with pytest.raises(SystemExit) as ended:
            end_process(Refusal("bot.yaml: no such bot file"))
        assert ended.value.code == 2
        assert capsys.readouterr() == ("", "error: bot.yaml: no such bot file\n")
        existed = reason.exists()
        reason.touch()
    assert existed
    assert reason.read_text() == "bot.yaml: no such bot file\n"
