"""Files and folders are written whole or stay as they were; a lock has one holder."""

import fcntl
from pathlib import Path

import pytest

from contracts.files import LOCK, Locked, locked, whole_folder, write_whole
from contracts.refusal import Refusal


def fail(*_: object) -> None:
    raise OSError(28, "No space left on device")


def test_a_file_that_cannot_be_written_stays_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "run.json"
    write_whole(path, "old")
    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(OSError, match="No space left"):
        write_whole(path, "new")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_cannot_be_filled_stays_as_it_was(tmp_path: Path) -> None:
    for name in ("first", "second"):
        with whole_folder(tmp_path / "model") as folder:
            (folder / name).touch()
    with pytest.raises(OSError, match="No space left"), whole_folder(tmp_path / "model"):
        fail()
    assert [path.name for path in tmp_path.rglob("*")] == ["model", "second"]


def test_a_folder_of_ours_that_others_could_read_is_closed_to_them(tmp_path: Path) -> None:
    (tmp_path / "bot").mkdir(mode=0o755)
    with locked(tmp_path / "bot", "busy"):
        assert (tmp_path / "bot").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("clean_up", [True, False])
def test_a_lock_has_one_holder_and_can_remove_its_file(tmp_path: Path, clean_up: bool) -> None:
    folder = tmp_path / "output"
    for _ in range(2):
        with locked(folder, "busy", clean_up):
            with pytest.raises(Locked, match="output: busy"), locked(folder, "busy"):
                pass
            assert (folder / LOCK).exists()
    assert folder.exists() is not clean_up


def test_a_lock_whose_file_its_holder_has_just_removed_is_not_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flock = fcntl.flock

    def removed_then_locked(file: int, operation: int) -> None:
        (tmp_path / LOCK).unlink()
        flock(file, operation)

    monkeypatch.setattr("fcntl.flock", removed_then_locked)
    with pytest.raises(Locked), locked(tmp_path, "busy"):
        pass


def test_a_file_in_the_place_of_a_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(Refusal, match="file: is a file"), locked(tmp_path / "file", "busy"):
        pass
