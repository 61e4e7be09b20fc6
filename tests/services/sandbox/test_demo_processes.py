"""The demo's processes: what ends by itself leaves nothing behind."""

import asyncio
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import cast

import pytest

from contracts.refusal import Refusal
from services.sandbox.demo import start_gateways
from services.sandbox.demo_processes import Demo, Gateways
from tests.conftest import PATIENCE
from tests.k8s.live import wait
from tests.services.sandbox.school import FakeGateways


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[Demo]:
    demo = Demo(tmp_path / "demo.log")
    yield demo
    demo._log_file.close()


async def test_a_guest_that_ends_leaves_nothing_and_the_others_go_on(
    demo: Demo, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    await demo.start("guest", "this", is_guest=True, GUEST=str(tmp_path))
    async with asyncio.timeout(PATIENCE):
        while "guest has ended with exit code 0" not in capsys.readouterr().err:
            demo.check()
            await asyncio.sleep(0)
    wait(lambda: not processes_with(str(tmp_path)), "processes are left", tmp_path)


async def test_without_another_the_demo_ends(demo: Demo) -> None:
    await demo.start("generation", "this")
    with pytest.raises(Refusal, match="generation has ended with exit code 0"):
        await demo.watch()
    await demo.stop()


async def test_nobody_waits_for_a_guest(demo: Demo) -> None:
    gateways = FakeGateways(demo)
    health = await start_gateways(cast(Gateways, gateways), {"a": "1", "b": "2"}, guests={"b"})
    assert health == {"a": 0}
    assert gateways.served == {"a": "1", "b": "2"}


async def test_only_a_bots_own_gateway_gets_its_token(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = ("VASYA_TOKEN", "SANDBOX_PASSWORD")
    for name in (*secret, "HF_TOKEN"):
        monkeypatch.setenv(name, "a")
    demo = Demo(tmp_path / "demo.log")
    demo._log_file.close()
    assert not {*secret} & demo.environment.keys()
    assert "HF_TOKEN" in demo.environment


def processes_with(mark: str) -> list[Path]:
    """Those that have it in their environment."""
    found = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        with suppress(OSError):
            if mark.encode() in path.read_bytes():
                found.append(path)
    return found
