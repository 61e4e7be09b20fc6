"""Which version answers for which bot, kept up to date with the volume.

A new version is verified and loaded beside the old one, has to answer once, and then takes over;
the old one goes when its last request has ended. A broken one is refused by name and the old one
serves on.
"""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from contracts.bot_file import bot_names
from contracts.refusal import Refusal
from services.generation.engine import Draw, Engine, EngineDown, Job, LoadFailed
from services.generation.metrics import Metrics
from services.generation.model_store import Bot, ModelStore, Version
from telemetry.logs import logger

_WARM = Draw(temperature=0, top_p=1, top_k=0, repetition=1, frequency=0, presence=0, seed=0)


class NoVersionServed(Exception):
    """The bot exists, and no version of it can answer; `reason` says why."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)


class VersionNotLoaded(Exception):
    """The version asked for by id is not loaded."""


@dataclass
class _State:
    """A bot's versions in the engine. `refused` holds ids that will not be tried again."""

    current: Version | None = None
    loaded: dict[str, Version] = field(default_factory=dict)
    users: dict[str, int] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)

    @property
    def problem(self) -> str:
        """Why the newest version is not served."""
        return next(reversed(self.refused.values()), "")


class Versions:
    """Follows the store; `lease` lends a version to a request."""

    def __init__(
        self,
        store: ModelStore,
        engine: Engine,
        metrics: Metrics,
        job_id: Callable[[], int],
    ) -> None:
        self._store = store
        self._engine = engine
        self._metrics = metrics
        self._job_id = job_id
        self._states: dict[str, _State] = {}

    async def follow(self, poll_seconds: float) -> None:
        """Look at the volume for ever."""
        while True:
            await self.refresh()
            await asyncio.sleep(poll_seconds)

    async def refresh(self) -> None:
        """Bring every bot to the version it should serve."""
        for name in bot_names(self._store.bots_dir):
            state = self._states.setdefault(name, _State())
            try:
                await self._refresh(name, state)
            except EngineDown:
                return  # it is starting again; the next look will do
            except OSError as error:
                logger().error("the models volume cannot be read", bot=name, error=str(error))
            self._metrics.serving.labels(name).set(state.current is not None)

    async def _refresh(self, name: str, state: _State) -> None:
        wanted = await asyncio.to_thread(self._store.wanted, name)
        newest = wanted[0] if wanted else None
        state.refused = {key: why for key, why in state.refused.items() if key in wanted}
        for version_id in wanted:
            if state.current and state.current.manifest.id == version_id:
                return
            tried = version_id in state.refused
            if not tried and await self._switch(name, state, version_id):
                return
            if state.current and version_id == newest:
                return  # what serves now goes on serving; `previous` is for a start only

    async def _switch(self, name: str, state: _State, version_id: str) -> bool:
        try:
            version = await asyncio.to_thread(self._store.open, name, version_id)
            await self._engine.load(version.key, version.path)
            await self._answer_once(version)
        except (Refusal, LoadFailed) as error:
            state.refused[version_id] = str(error)
            self._metrics.refused_versions.labels(name).inc()
            logger().error("version refused", bot=name, version=version_id, reason=str(error))
            return False
        before, state.current = state.current, version
        state.loaded[version_id] = version
        logger().info("version serves", bot=name, version=version_id)
        if before:
            self._retire(state, before.manifest.id)
        return True

    async def _answer_once(self, version: Version) -> None:
        ids = [version.manifest.bos]
        job = Job(self._job_id(), version.key, ids, _WARM, 1, 1, frozenset())
        async for event in self._engine.submit(job):
            if event.error is not None:
                self._engine.unload(version.key)
                raise LoadFailed(f"it does not answer: {event.error}")

    def _retire(self, state: _State, version_id: str) -> None:
        """Unload a version that nobody uses and that is not the current one."""
        is_current = state.current is not None and state.current.manifest.id == version_id
        if not is_current and not state.users.get(version_id) and version_id in state.loaded:
            self._engine.unload(state.loaded.pop(version_id).key)

    @contextmanager
    def lease(self, bot: str, version_id: str | None) -> Iterator[tuple[Bot, Version]]:
        """The bot's settings and a version that stays loaded inside the block.

        Raises BotNotFound, NoVersionServed, or VersionNotLoaded.
        """
        settings = self._store.bot(bot)
        state = self._states.get(bot, _State())
        if state.current is None:
            raise NoVersionServed(state.problem or "no version of it has been published")
        version = state.loaded.get(version_id) if version_id else state.current
        if version is None:
            raise VersionNotLoaded(version_id)
        key = version.manifest.id
        state.users[key] = state.users.get(key, 0) + 1
        try:
            yield settings, version
        finally:
            state.users[key] -= 1
            self._retire(state, key)

    def states(self) -> dict[str, _State]:
        """All bots by name."""
        with suppress(OSError):
            for name in bot_names(self._store.bots_dir):
                self._states.setdefault(name, _State())
        return dict(sorted(self._states.items()))
