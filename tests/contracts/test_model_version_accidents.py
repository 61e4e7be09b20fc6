"""Whatever dies, fills up or runs at once while publishing, `current` names a whole version."""

import errno
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import NoReturn

import pytest

from contracts.files import Locked
from contracts.model_version import BotModels, verify
from contracts.refusal import Refusal
from tests.contracts.versions import publish

ROOT = Path(__file__).parents[2]


@pytest.fixture
def models(tmp_path: Path) -> BotModels:
    return BotModels(tmp_path / "models" / "avtobus")


def test_nobody_writes_while_somebody_publishes(models: BotModels) -> None:
    publish(models, "1")
    publish(models, "2")
    with models.staging():
        for write in (lambda: publish(models, "3"), models.roll_back):
            with pytest.raises(Locked, match="another process is publishing"):
                write()
        with pytest.raises(Locked):  # publishing may be about to link what it would remove
            models.prune(datetime.now(UTC))
        assert (models.current_id(), models.ids()) == ("2", ["1", "2"])
    publish(models, "3")
    assert models.current_id() == "3"


@pytest.mark.parametrize("accident", ["killed", "disk-full"])
@pytest.mark.parametrize(
    ("published", "version", "after"),
    [([], "3", "3"), (["1", "2"], "3", "3"), (["1", "2"], None, "1")],
    ids=["first publishing", "publishing", "rolling back"],
)
def test_an_accident_at_any_step_leaves_a_whole_version(
    models: BotModels,
    tmp_path: Path,
    accident: str,
    published: list[str],
    version: str | None,
    after: str,
) -> None:
    models.versions.mkdir(parents=True)
    for version_id in published:
        publish(models, version_id)
    before = models.current_id()
    interrupted = [sys.executable, "-m", "tests.contracts.interrupted", accident]
    folders = [str(models.folder), str(tmp_path / "copies")]
    subprocess.run([*interrupted, *folders, *([version] if version else [])], check=True, cwd=ROOT)

    steps = len(list((tmp_path / "copies").iterdir()))
    copies = [BotModels(tmp_path / "copies" / str(n)) for n in range(1, steps + 1)]
    currents = [copy.current_id() for copy in copies]
    switched = currents.index(after)
    assert 8 <= switched < steps
    assert currents == [before] * switched + [after] * (steps - switched)
    for copy in copies:
        assert set(published) <= set(copy.ids())
        assert all(verify(copy.path(version_id)).id == version_id for version_id in copy.ids())
        publish(copy, "4")
        assert verify(copy.folder / "current").id == "4"


@pytest.mark.parametrize("call", ["mkdir", "open", "rename", "symlink_to", "replace"])
def test_a_full_disk_is_told_and_leaves_the_old_version(
    models: BotModels, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    def full(*_: object, **__: object) -> NoReturn:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    publish(models, "1")
    with monkeypatch.context() as patched:
        patched.setattr(Path, call, full)
        with pytest.raises((OSError, Refusal), match="No space left"):
            publish(models, "2")
    assert verify(models.folder / "current").id == "1"
    assert not (models.versions / ".staging").exists()
    publish(models, "3")
    assert models.current_id() == "3"
