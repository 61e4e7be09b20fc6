"""Files and folders are written whole or stay as they were; a lock has one holder."""

from pathlib import Path

import pytest

from contracts.files import Locked, locked, whole_folder, write_whole
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


def test_a_lock_has_one_holder(tmp_path: Path) -> None:
    for _ in range(2):
        with locked(tmp_path / "bot", "busy"):
            refused = pytest.raises(Locked, match="bot: busy")
            with refused, locked(tmp_path / "bot", "busy"):
                pass


def test_a_file_in_the_place_of_a_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(Refusal, match="file: is a file"), locked(tmp_path / "file", "busy"):
        pass
