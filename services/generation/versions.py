"""Which version answers for which bot, kept up to date with the volume.

A new version is verified and loaded beside the old one, has to answer once, and then takes over;
the old one goes when its last request has ended. A broken one is refused by name and the old one
serves on. One over which the engine died is tried in a process of its own before it comes near the
other bots again.
"""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from contracts.bot_file import BotNotFound, bot_names
from contracts.refusal import Refusal
from contracts.turn import Role, Turn
from services.generation.engine import Engine, EngineDown, LoadFailed
from services.generation.metrics import Metrics
from services.generation.model_store import Bot, ModelStore, Version
from services.generation.request import job_of
from telemetry.logs import logger

PATIENCE = 3
"""Deaths of the engine over one version after which the version is refused."""
TRIAL_SECONDS = 120.0
"""Time that a version has to answer in an engine of its own."""
_PROBE = (Turn(speaker="user", role=Role.OTHER, messages=("Привет",)),)
_PROBE_TOKENS = 4


class NoVersionServed(Exception):
    """The bot exists, and no version of it can answer; `reason` says why."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)


class VersionNotLoaded(Exception):
    """The version asked for by id is not loaded."""


@dataclass
class BotState:
    """A bot's settings and its versions in the engine.

    wanted   ids that the volume names, the best first
    refused  ids that will not be tried again while they are wanted, and why
    deaths   how often the engine died over an id since it was loaded last
    fault    why the bot's file cannot be used
    unread   why a version cannot be read now; it is looked at again
    gone     there is no file any more; requests under way end on what is loaded
    """

    bot: Bot | None = None
    current: Version | None = None
    loaded: dict[str, Version] = field(default_factory=dict)
    users: dict[str, int] = field(default_factory=dict)
    wanted: list[str] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)
    deaths: dict[str, int] = field(default_factory=dict)
    fault: str = ""
    unread: str = ""
    gone: bool = False

    @property
    def problem(self) -> str:
        """Why the newest version is not served, empty when it is."""
        refused = self.refused.get(self.wanted[0], "") if self.wanted else ""
        return self.fault or refused or self.unread


class Versions:
    """Follows the store; `lease` lends a version to a request."""

    def __init__(
        self, store: ModelStore, engine: Engine, metrics: Metrics, job_id: Callable[[], int]
    ) -> None:
        self._store = store
        self._engine = engine
        self._metrics = metrics
        self._job_id = job_id
        self._states: dict[str, BotState] = {}
        self._looked = False

    def states(self) -> dict[str, BotState]:
        """All bots by name."""
        return {name: state for name, state in sorted(self._states.items()) if not state.gone}

    @property
    def idle(self) -> bool:
        """No bot has any version that it could serve with."""
        return self._looked and not any(state.wanted for state in self._states.values())

    def serving(self) -> dict[str, bool]:
        """Whether each bot answers now, which its metric says as well."""
        serving = {
            name: bool(state.bot and state.current and self._engine.has(state.current.key))
            for name, state in self.states().items()
        }
        for name, serves in serving.items():
            self._metrics.serving.labels(name).set(serves)
        return serving

    async def follow(self, poll_seconds: float) -> None:
        """Look at the volume for ever."""
        while True:
            await self.refresh()
            await asyncio.sleep(poll_seconds)

    async def refresh(self) -> None:
        """Bring every bot to the version it should serve, and forget bots that are gone."""
        if not self._engine.alive:
            return
        try:
            names = await asyncio.to_thread(bot_names, self._store.bots_dir)
            for name in [known for known in self._states if known not in names]:
                self._forget(name)
            for name in names:
                state = self._states.setdefault(name, BotState())
                state.gone = False
                try:
                    await self._refresh(name, state)
                except OSError as error:
                    logger().error("a volume cannot be read", bot=name, error=str(error))
        except EngineDown:
            return  # it is starting again; the next look will do
        except OSError as error:
            logger().error("the bots' folder cannot be read", error=str(error))
        self._looked = True

    async def _refresh(self, name: str, state: BotState) -> None:
        self._drop_lost(state)
        self._read_bot(name, state)
        state.wanted = await asyncio.to_thread(self._store.wanted, name)
        for gone in state.refused.keys() - set(state.wanted):
            del state.refused[gone]
            self._metrics.refused_version.remove(name, gone)
        if state.bot is None:
            return
        for version_id in state.wanted:
            if state.current and state.current.manifest.id == version_id:
                return
            tried = version_id in state.refused
            if not tried and await self._switch(state.bot, state, version_id):
                return
            if state.current:
                return  # what serves goes on serving; `previous` is for a start only

    def _drop_lost(self, state: BotState) -> None:
        """Forget versions that the engine no longer has: they did not load after its restart.

        What is wanted of them is opened once more, warily, and refused with the reason.
        """
        for version_id, version in list(state.loaded.items()):
            if self._engine.alive and version.key not in self._engine.loaded:
                del state.loaded[version_id]
                state.deaths[version_id] = 1
                self._metrics.version.remove(version.manifest.bot, version_id)
                if state.current is version:
                    state.current = None

    def _read_bot(self, name: str, state: BotState) -> None:
        try:
            state.bot, state.fault = self._store.bot(name), ""
        except Refusal as refusal:
            if state.fault != str(refusal):
                logger().error("bot file refused", bot=name, reason=str(refusal))
            state.bot, state.fault = None, str(refusal)

    async def _switch(self, bot: Bot, state: BotState, version_id: str) -> bool:
        version = state.loaded.get(version_id)  # it may still finish requests from before
        if version is None:
            try:
                version = await self._open(bot, state, version_id)
            except EngineDown:
                raise
            except OSError as error:
                self._cannot_read(state, version_id, error)
                return False
            except Exception as error:  # a broken version must not end the service
                expected = isinstance(error, Refusal | LoadFailed)
                reason = str(error) if expected else f"{type(error).__name__} while it was opened"
                self._refuse(bot.name, state, version_id, reason)
                return False
        if version_id == state.wanted[0]:
            state.unread = ""
        before, state.current = state.current, version
        state.loaded[version_id] = version
        self._metrics.version.labels(bot.name, version_id).set(1)
        logger().info("version serves", bot=bot.name, version=version_id)
        if before:
            self._retire(state, before.manifest.id)
        return True

    def _cannot_read(self, state: BotState, version_id: str, error: OSError) -> None:
        """Say so once; the version is not refused, for the next look may find it well."""
        problem = f"version {version_id} cannot be read now: {error.strerror}"
        if state.unread != problem:
            logger().error("a version cannot be read", reason=problem)
        state.unread = problem

    async def _open(self, bot: Bot, state: BotState, version_id: str) -> Version:
        """Verify, load, and have it answer; raises LoadFailed when the engine dies over it."""
        version = await asyncio.to_thread(self._store.open, bot.name, version_id)
        if version_id in state.deaths:
            await self._try_apart(bot, version)
        if not self._engine.alive:
            raise EngineDown  # not over this version
        try:
            await self._load(self._engine, bot, version)
        except EngineDown:
            state.deaths[version_id] = state.deaths.get(version_id, 0) + 1
            if state.deaths[version_id] < PATIENCE:
                raise
            self._engine.unload(version.key)
            raise LoadFailed("the engine dies over it") from None
        state.deaths.pop(version_id, None)
        return version

    async def _try_apart(self, bot: Bot, version: Version) -> None:
        """Have it answer in an engine of its own; raises LoadFailed."""
        apart = self._engine.apart()
        try:
            async with asyncio.timeout(TRIAL_SECONDS):
                await apart.start()
                await self._load(apart, bot, version)
        except TimeoutError:
            raise LoadFailed(f"it does not answer within {TRIAL_SECONDS:g} s") from None
        except EngineDown:
            raise LoadFailed("the engine dies over it") from None
        finally:
            await apart.close()

    def _refuse(self, name: str, state: BotState, version_id: str, reason: str) -> None:
        state.refused[version_id] = reason
        self._metrics.refused_versions.labels(name).inc()
        self._metrics.refused_version.labels(name, version_id).set(1)
        logger().error("version refused", bot=name, version=version_id, reason=reason)

    async def _load(self, engine: Engine, bot: Bot, version: Version) -> None:
        """Load it and ask it as a user would; raises LoadFailed when it does not answer."""
        await engine.load(version.key, version.path)
        job, _ = job_of(_PROBE, bot.sampling, bot.generation, version, self._job_id())
        async for event in engine.submit(job.limited(_PROBE_TOKENS)):
            if event.error is not None:
                engine.unload(version.key)
                raise LoadFailed(f"it does not answer: {event.error}")

    def _retire(self, state: BotState, version_id: str) -> None:
        """Unload a version that nobody uses and that is not the current one."""
        is_current = state.current is not None and state.current.manifest.id == version_id
        if not is_current and not state.users.get(version_id) and version_id in state.loaded:
            gone = state.loaded.pop(version_id)
            self._engine.unload(gone.key)
            self._metrics.version.remove(gone.manifest.bot, version_id)

    def _forget(self, name: str) -> None:
        """The bot's file is gone: its versions go as soon as nobody uses them."""
        state = self._states[name]
        state.current, state.gone = None, True
        for refused in state.refused:
            self._metrics.refused_version.remove(name, refused)
        state.refused.clear()
        for version_id in list(state.loaded):
            self._retire(state, version_id)
        if not state.loaded:
            del self._states[name]
            self._metrics.forget(name)

    @contextmanager
    def lease(self, name: str, version_id: str | None) -> Iterator[tuple[Bot, Version]]:
        """The bot's settings and a version that stays loaded inside the block.

        Raises EngineDown before the first look, BotNotFound, NoVersionServed, VersionNotLoaded.
        """
        state = self._states.get(name)
        if (state is None or state.gone) and self._looked:
            raise BotNotFound(name)
        if state is None or (state.current is None and not self._looked):
            raise EngineDown
        if state.bot is None or state.current is None:
            raise NoVersionServed(state.problem or "no version of it has been published")
        version = state.loaded.get(version_id) if version_id else state.current
        if version is None:
            raise VersionNotLoaded(version_id)
        key = version.manifest.id
        state.users[key] = state.users.get(key, 0) + 1
        try:
            yield state.bot, version
        finally:
            state.users[key] -= 1
            self._retire(state, key)
