"""Which version answers for which bot, kept up to date with the volumes.

A new version is verified, loaded beside the old one, and has to answer once; then it takes over,
and the old one is unloaded when its last request has ended. A version that cannot serve is refused
by name while the old one serves on. If the engine or the whole service dies over a version, that
version is tried in an engine of its own before the engine of all bots loads it again. Where it is
refused for deaths, it is tried again after a pause that grows.

Only the engine knows which versions are loaded (`Engine.loaded`). This module decides which version
serves each bot.
"""

import asyncio
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from math import inf, nan

import grpc

from contracts.bot_file import bot_names
from contracts.clock import Clock
from contracts.refusal import Refusal
from contracts.retry import backoff
from protos.generation.v1 import generation_pb2 as pb
from services.generation.bot_state import BotState
from services.generation.deaths import SERVED, Deaths
from services.generation.engine.engine import Engine, LoadFailed
from services.generation.engine.protocol import VersionKey
from services.generation.errors import EngineDown, Rejection
from services.generation.metrics import Metrics
from services.generation.model_store import Bot, ModelStore, Version
from services.generation.request import probe
from telemetry.logs import logger

MAX_DEATHS = 2
"""Deaths over one version after which the version is refused for a while."""
FIRST_PAUSE, LONGEST_PAUSE = 600.0, 3600.0
"""Seconds after which a version that was refused for deaths is tried apart again."""


class Deadly(LoadFailed):
    def __init__(self) -> None:
        super().__init__("the engine dies over it, or hangs (too little memory?)")


class Versions:
    """Follows the volumes, and lends versions to requests."""

    def __init__(
        self, store: ModelStore, engine: Engine, metrics: Metrics, clock: Clock, deaths: Deaths
    ) -> None:
        self._store = store
        self._deaths = deaths
        self._engine = engine
        self._metrics = metrics
        self._clock = clock
        self._states: dict[str, BotState] = {}
        self._users = Counter[VersionKey]()  # requests by their version's key
        self._missed = Counter[str]()  # requests that the engine's death ended or kept out, by bot
        self.has_looked = asyncio.Event()  # the volumes have been looked at once

    def has_bot(self, name: str) -> bool:
        return name in self._states

    async def models(self) -> list[pb.Model]:
        """Return what ListModels says of every bot."""
        return [
            pb.Model(
                bot=name,
                version=state.current.id if state.current else "",
                loaded=sorted(id_ for bot, id_ in self._engine.loaded if bot == name),
                problem=state.problem,
                forgets_until=await asyncio.to_thread(self._store.forgets_until, state.current),
            )
            for name, state in sorted(self._states.items())
        ]

    @property
    def is_idle(self) -> bool:
        """Whether no bot has any version that could serve."""
        return self.has_looked.is_set() and not any(s.linked_ids for s in self._states.values())

    def serving(self) -> dict[str, bool]:
        """Return whether each bot answers now, and say so in its metric."""
        serving, loaded = dict[str, bool](), self._engine.loaded
        for name, state in self._states.items():
            serving[name] = bool(state.bot and state.current and state.current.key in loaded)
            self._metrics.serving.labels(name).set(serving[name] if state.linked_ids else nan)
        return serving

    @contextmanager
    def lease(self, name: str, version_id: str) -> Iterator[tuple[Bot, Version]]:
        """Lend a bot's settings and a version, the current one where the id is empty.

        The version stays loaded inside the block, unless the engine dies. Raises Rejection.
        """
        bot, version = self._find(name, version_id)
        self._users[version.key] += 1
        try:
            yield bot, version
        except EngineDown:
            self._missed[name] += 1
            raise
        finally:
            self._users -= Counter([version.key])  # which removes a count of zero

    def _find(self, name: str, version_id: str) -> tuple[Bot, Version]:
        state = self._states.get(name, BotState())
        untried = set(state.linked_ids) - state.refusals.keys()
        is_pending = untried and not (state.bot_problem or state.read_problem)
        if state.current is None and (is_pending or not self.has_looked.is_set()):
            raise EngineDown
        if name not in self._states:
            known = ", ".join(sorted(self._states)) or "none"
            text = f"there is no bot {name[:64]!r}; there are: {known}"
            raise Rejection(grpc.StatusCode.NOT_FOUND, text, reason="BOT_NOT_FOUND")
        if state.bot is None or state.current is None:
            why = state.problem or "no version of it has been published"
            text = f"bot {name!r} cannot answer: {why}"
            raise Rejection(grpc.StatusCode.FAILED_PRECONDITION, text, reason="NO_VERSION")
        version_id = version_id or state.current.id
        if version := self._engine.loaded.get((name, version_id)):
            return state.bot, version
        if version_id == state.current.id:
            self._missed[name] += 1
            raise EngineDown  # it is being restored
        text = f"version {version_id!r} of bot {name!r} is not loaded"
        raise Rejection(grpc.StatusCode.NOT_FOUND, text, reason="VERSION_NOT_LOADED")

    async def restore(self) -> None:
        """Load into a new child what serves, one by one, first the bots that most people ask.

        A version that does not load again stops serving. The next look at the volumes tries it
        again, and refuses it with the reason if it fails. Raises EngineDown.
        """
        self._metrics.version.clear()
        waiting = dict(self._states)
        while waiting:
            state = waiting.pop(max(waiting, key=self._missed.__getitem__))
            if (version := state.current) is None:
                continue
            if not self._engine.has_child:
                raise EngineDown  # not over this version
            try:
                async with self._deaths.counted(version.key):
                    await self._engine.load(version, probe(version))
                await self._deaths.set(version.key, SERVED)
                self._metrics.version.labels(*version.key).set(1)
            except (EngineDown, LoadFailed) as error:
                logger().error("a version did not load again", key=version.key, reason=str(error))
                state.current = None
                if isinstance(error, EngineDown):
                    raise
        self._missed.clear()

    async def follow(self, poll_seconds: float) -> None:
        """Look at the volumes for ever while the engine is up."""
        await self._expect_bots()
        while True:
            await self._engine.is_up.wait()
            await self._refresh()
            await self._clock.sleep(poll_seconds)

    async def _expect_bots(self) -> None:
        """Say in the metric that no bot answers yet, in case the engine never comes up."""
        with suppress(OSError):  # the first look logs it
            for name in await asyncio.to_thread(bot_names, self._store.bots_dir):
                linked_ids = await asyncio.to_thread(self._store.linked_ids, name)
                self._states[name] = BotState(linked_ids=linked_ids)
        self.serving()

    async def _refresh(self) -> None:
        """Bring every bot to the version it should serve, and forget bots that are gone."""
        try:
            names = await asyncio.to_thread(bot_names, self._store.bots_dir)
            for name in self._states.keys() - set(names):
                self._forget(name)
            for name in names:
                await self._refresh_bot(name, self._states.setdefault(name, BotState()))
            self._unload_unused()
        except EngineDown:
            return  # it is starting again; the next look will do
        except OSError as error:
            logger().error("the bots' folder cannot be read", reason=error.strerror)
        self.has_looked.set()

    def _forget(self, name: str) -> None:
        """Forget a bot; its requests under way end on the version that they have."""
        state = self._states.pop(name)
        for version_id in state.refusals:
            self._metrics.refused_version.remove(name, version_id)
        self._metrics.forget(name)

    def _unload_unused(self) -> None:
        """Unload the versions that no request uses and that are not their bots' current ones."""
        current = {state.current.key for state in self._states.values() if state.current}
        for key in self._engine.loaded.keys() - current:
            if not self._users[key]:
                self._engine.unload(key)
                self._metrics.version.remove(*key)
                if key[0] not in self._states:
                    self._metrics.forget(key[0])

    async def _refresh_bot(self, name: str, state: BotState) -> None:
        try:
            await self._read_bot(name, state)
            state.linked_ids = await asyncio.to_thread(self._store.linked_ids, name)
        except OSError as error:
            logger().error("a volume cannot be read", bot=name, reason=error.strerror)
            return
        for version_id in state.refusals.keys() - set(state.linked_ids):
            self._take_back(name, state, version_id)
            await self._deaths.set((name, version_id), 0)
        for version_id in state.linked_ids if state.bot else ():
            if state.current and state.current.id == version_id:
                return
            is_due = state.retries.get(version_id, inf) < self._clock.monotonic()
            may_serve = is_due or version_id not in state.refusals
            if may_serve and await self._serve(name, state, version_id):
                return
            if state.current:
                return  # it goes on serving; `previous` is only for where nothing serves

    async def _read_bot(self, name: str, state: BotState) -> None:
        try:
            state.bot = await asyncio.to_thread(self._store.bot, name)
            state.bot_problem = ""
        except Refusal as refusal:
            if state.bot_problem != str(refusal):
                logger().error("bot file refused", bot=name, reason=str(refusal))
            state.bot, state.bot_problem = None, str(refusal)

    async def _serve(self, name: str, state: BotState, version_id: str) -> bool:
        """Switch to a version; returns whether it serves. Raises EngineDown."""
        # it may still be loaded, for requests from before
        version = self._engine.loaded.get((name, version_id))
        try:
            version = version or await self._open(name, version_id)
        except EngineDown:
            raise
        except OSError as error:  # the version is not refused: the next look may find it well
            problem = f"version {version_id} cannot be read now: {error.strerror}"
            if state.read_problem != problem:
                logger().error("a version cannot be read", reason=problem)
            state.read_problem = problem
            return False
        except Exception as error:  # a broken version must not end the service
            expected = isinstance(error, Refusal | LoadFailed)
            reason = str(error) if expected else f"{type(error).__name__} while it was opened"
            if isinstance(error, Deadly):
                attempt = max(0, self._deaths.counts[name, version_id] - MAX_DEATHS)
                pause = backoff(attempt, FIRST_PAUSE, LONGEST_PAUSE)
                state.retries[version_id] = self._clock.monotonic() + pause
            self._refuse(name, state, version_id, reason)
            return False
        if version_id == state.linked_ids[0]:
            state.read_problem = ""
        if version_id in state.refusals:
            self._take_back(name, state, version_id)
        state.current = version
        self._unload_unused()
        self._metrics.version.labels(name, version_id).set(1)
        logger().info("version serves", bot=name, version=version_id)
        return True

    async def _open(self, name: str, version_id: str) -> Version:
        """Verify a version and load it; raises LoadFailed, EngineDown."""
        deaths = self._deaths.counts[name, version_id]
        if deaths >= MAX_DEATHS and version_id not in self._states[name].refusals:
            raise Deadly
        version = await asyncio.to_thread(self._store.open, name, version_id)
        if deaths not in (0, SERVED):
            await self._try_apart(version)
        await self._engine.is_up.wait()  # if it has died meanwhile, then not over this version
        async with self._deaths.counted(version.key):
            await self._engine.load(version, probe(version))
        await self._deaths.set(version.key, SERVED)
        return version

    async def _try_apart(self, version: Version) -> None:
        """Load a version into an engine of its own; raises LoadFailed."""
        apart = self._engine.copy()
        try:
            await apart.start()
            async with self._deaths.counted(version.key):
                await apart.load(version, probe(version))
        except EngineDown:
            raise Deadly from None
        finally:
            await apart.close()

    def _take_back(self, name: str, state: BotState, version_id: str) -> None:
        del state.refusals[version_id]
        state.retries.pop(version_id, None)
        self._metrics.refused_version.remove(name, version_id)

    def _refuse(self, name: str, state: BotState, version_id: str, reason: str) -> None:
        state.refusals[version_id] = reason
        self._metrics.refused_versions.labels(name).inc()
        self._metrics.refused_version.labels(name, version_id).set(1)
        logger().error("version refused", bot=name, version=version_id, reason=reason)
