"""A step is alone on its folder, and is done again only when what goes in has changed."""

from collections.abc import Callable
from pathlib import Path

import pytest

from contracts.refusal import Refusal
from contracts.sampling import Sampling
from contracts.step import Stamp, working


def stamp(folder: Path, **settings: float) -> Stamp:
    return Stamp(folder / "out.made-from", folder / "in", Sampling(**settings), "text", None)


@pytest.fixture
def made(tmp_path: Path) -> Path:
    """A folder whose output was made from what lies in it."""
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a").write_text("1")
    with stamp(tmp_path).renewed():
        pass
    return tmp_path


def test_the_same_again_is_not_made_again(made: Path) -> None:
    assert stamp(made).holds(lambda: True)


@pytest.mark.parametrize(
    "change",
    [
        lambda folder: (folder / "in" / "a").write_text("2"),
        lambda folder: (folder / "in" / "b").write_text(""),
        lambda folder: (folder / "in" / "a").rename(folder / "in" / "c"),
        lambda folder: (folder / "out.made-from").unlink(),
    ],
)
def test_what_has_changed_is_made_again(made: Path, change: Callable[[Path], object]) -> None:
    change(made)
    assert not stamp(made).holds(lambda: True)


def test_other_settings_make_it_again(made: Path) -> None:
    assert not stamp(made, temperature=0.1).holds(lambda: True)


def test_an_output_that_is_not_whole_is_made_again(made: Path) -> None:
    def refused() -> bool:
        raise Refusal("a file is missing")

    assert not stamp(made).holds(lambda: False)
    assert not stamp(made).holds(refused)


def test_one_that_fails_leaves_no_stamp(made: Path) -> None:
    with pytest.raises(OSError, match="full"), stamp(made).renewed():
        raise OSError("full")
    assert not stamp(made).holds(lambda: True)


def test_two_jobs_do_not_work_in_one_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with working(tmp_path / "bot" / "run"):
        with pytest.raises(Refusal, match="another job works there"), working(tmp_path / "bot/set"):
            pass
        with working(tmp_path / "other" / "run"):
            pass
        monkeypatch.setenv("RANK", "1")  # of the processes of one training the first holds it
        with working(tmp_path / "bot" / "run"):
            pass
    monkeypatch.delenv("RANK")
    with working(tmp_path / "bot" / "run"):
        pass
