"""Deaths of the whole service over a version are counted, and end with its refusal."""

import asyncio
import json
import os
import signal
import sys
from pathlib import Path

import pytest

from services.generation.deaths import FILE, Deaths
from services.generation.errors import EngineDown
from tests.conftest import BOT, unmeasured
from tests.services.generation.conftest import NEW, Volumes, hang, running, until

KEY = (BOT, NEW)


async def _die_while_a_version_loads(volumes: Volumes, state: Path) -> None:
    """Kill a service with all of its processes, as the kernel does, as soon as it loads NEW."""
    before = Deaths(state).counts[KEY]
    ports = {"GRPC_PORT": "0", "METRICS_PORT": "0"}
    folders = {"BOTS_DIR": volumes.bots, "MODELS_DIR": volumes.models, "STATE_DIR": state}
    service = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "services.generation"),
        env={**unmeasured(), **ports, **{name: str(path) for name, path in folders.items()}},
        start_new_session=True,
    )
    try:
        await until(lambda: Deaths(state).counts[KEY] > before)
    finally:
        os.killpg(service.pid, signal.SIGKILL)
        await service.wait()


async def test_a_version_over_which_the_service_dies_twice_is_refused(
    volumes: Volumes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    volumes.publish()
    hang(monkeypatch, tmp_path, "__init__", f"args[1].endswith({NEW!r})")
    for _ in range(2):
        await _die_while_a_version_loads(volumes, tmp_path / "state")
    async with running(volumes.bots, volumes.models, state_dir=tmp_path / "state") as service:
        assert await service.serves(volumes.version)
        assert "the engine dies over it" in (await service.model()).problem
        assert await service.answers()
        volumes.roll_back()
        (volumes.models / BOT / "previous").unlink()
        await until(lambda: Deaths(tmp_path / "state").counts[KEY] == 0)  # it may be tried again


async def test_a_version_over_which_the_service_died_once_serves(
    volumes: Volumes, tmp_path: Path
) -> None:
    volumes.publish()
    (tmp_path / FILE).write_text(json.dumps([[*KEY, 1]]))
    async with running(volumes.bots, volumes.models, state_dir=tmp_path) as service:
        assert await service.serves(NEW)
    assert json.loads((tmp_path / FILE).read_text()) == []


@pytest.mark.parametrize(
    ("error", "deaths"), [(EngineDown(), 2), (asyncio.CancelledError(), 1), (ValueError(), 1)]
)
async def test_only_a_death_is_counted(tmp_path: Path, error: BaseException, deaths: int) -> None:
    await Deaths(tmp_path).set(KEY, 1)
    with pytest.raises(type(error)):
        async with Deaths(tmp_path).counted(KEY):
            raise error
    assert Deaths(tmp_path).counts[KEY] == deaths


@pytest.mark.parametrize("content", ["", "null", "[1]", "[[1, 2]]", "{}"])
def test_a_file_that_is_not_whole_counts_nothing(tmp_path: Path, content: str) -> None:
    (tmp_path / FILE).write_text(content)
    assert Deaths(tmp_path).counts[KEY] == 0


async def test_a_version_is_served_where_its_deaths_cannot_be_kept(
    volumes: Volumes, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    async with running(volumes.bots, volumes.models, state_dir=tmp_path / "file") as service:
        assert await service.answers()
