"""Deaths of the whole service over a version are counted, and end with its refusal."""

import asyncio
import json
import os
import signal
import sys
from pathlib import Path

import pytest

from services.generation import served_versions
from services.generation.deaths import FILE, SERVED, Deaths
from services.generation.errors import EngineDown
from tests.conftest import BOT, Toy
from tests.services.generation.conftest import NEW, Volumes, hang, running, until

KEY = (BOT, NEW)


async def _die_while_a_version_loads(volumes: Volumes, state: Path) -> None:
    """Kill a service with all of its processes, as the kernel does, as soon as it loads NEW."""
    before = Deaths(state).counts[KEY]
    ports = {"GRPC_PORT": "0", "METRICS_PORT": "0"}
    folders = {"BOTS_DIR": volumes.bots, "MODELS_DIR": volumes.models, "STATE_DIR": state}
    service = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "services.generation"),
        env={**os.environ, **ports, **{name: str(path) for name, path in folders.items()}},
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
    assert [*KEY, SERVED] in json.loads((tmp_path / FILE).read_text())


async def test_a_version_that_was_refused_for_deaths_is_tried_again(
    volumes: Volumes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A node that was reset twice while it loaded, say, is no fault of the version."""
    monkeypatch.setattr(served_versions, "FIRST_PAUSE", 1.0)
    volumes.publish()
    (tmp_path / FILE).write_text(json.dumps([[*KEY, 2], [BOT, volumes.version, 2]]))
    async with running(volumes.bots, volumes.models, state_dir=tmp_path) as service:
        assert "the engine dies over it" in (await service.model()).problem
        await until(lambda: service.serves(NEW))
        assert not (await service.model()).problem
        assert not service.metric("refused_version_info", bot=BOT, version=NEW)


async def test_a_version_that_has_served_is_not_refused_for_deaths(
    toy: Toy, tmp_path: Path
) -> None:
    key = BOT, toy.manifest.id
    async with running(toy.bots_dir, toy.models_dir, state_dir=tmp_path):
        pass
    await Deaths(tmp_path).set(key, Deaths(tmp_path).counts[key] + 2)
    async with running(toy.bots_dir, toy.models_dir, state_dir=tmp_path) as service:
        assert await service.answers()


async def test_a_version_over_which_a_second_engine_dies_is_counted_and_refused_for_a_while(
    volumes: Volumes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(served_versions, "FIRST_PAUSE", 0.1)
    hang(monkeypatch, tmp_path, "__init__", f"args[1].endswith({NEW!r}) and os._exit(9)")
    volumes.publish()
    (tmp_path / FILE).write_text(json.dumps([[*KEY, 1]]))
    async with running(volumes.bots, volumes.models, state_dir=tmp_path) as service:
        await until(lambda: Deaths(tmp_path).counts[KEY] >= 3)
        assert await service.answers()
        assert service.metric("engine_restarts_total") == 0


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
