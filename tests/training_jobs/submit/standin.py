"""A stand-in for a cluster's API server, over real HTTP and websockets.

Objects go out as the client's own models and come in by the published schemas. What is run in a pod
really runs, with a folder as the volume. Time passes when the command waits, or reads a log that
grows: then the next step of `play` is done.
"""

import asyncio
import json
import re
import subprocess
import threading
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import kubernetes_validate
from aiohttp import WSMsgType, web
from kubernetes import client as k8s

Resource = tuple[str, str]
PROTOCOLS = ("v5.channel.k8s.io", "v4.channel.k8s.io")
STDOUT, STDERR, ERROR = b"\1", b"\2", b"\3"
MODELS = {"cronjobs": "V1CronJob", "jobs": "V1Job", "pods": "V1Pod"}
PATH = re.compile(r"/(?:api/v1|apis/batch/v1)/namespaces/([\w-]+)/(\w+)(?:/([\w-]+)(?:/(\w+))?)?")
VERBS = {"POST": "create", "DELETE": "delete", "GET": "get"}
BEGAN = datetime(2026, 1, 1, tzinfo=UTC)
codec = k8s.ApiClient()


def model(kind: str, body: dict[str, Any]) -> Any:
    return codec.deserialize(SimpleNamespace(data=json.dumps(body)), kind)


def state(reason: str | None = None, message: str | None = None, code: int | None = None) -> Any:
    """Of a container: running, waiting for a reason, or ended with a code."""
    if code is not None:
        ended = k8s.V1ContainerStateTerminated(exit_code=code, reason=reason, message=message)
        return k8s.V1ContainerState(terminated=ended)
    if reason is not None:
        waiting = k8s.V1ContainerStateWaiting(reason=reason, message=message)
        return k8s.V1ContainerState(waiting=waiting)
    return k8s.V1ContainerState(running=k8s.V1ContainerStateRunning(started_at=BEGAN))


class StandIn:
    def __init__(self, volume: Path, cronjobs: list[dict[str, Any]]) -> None:
        self.volume = volume
        """The volume's /data, and beside it bin/, whose programs are preferred."""
        self.kept: dict[str, dict[str, Any]] = {kind: {} for kind in MODELS}
        self.kept["cronjobs"] = {
            each["metadata"]["name"]: model("V1CronJob", each) for each in cronjobs
        }
        for name, cronjob in self.kept["cronjobs"].items():
            cronjob.metadata.uid = f"uid-of-{name}"
        self.logs: dict[tuple[str, str], list[str]] = {}
        self.asked: set[Resource] = set()
        self.forbidden: dict[Resource, str] = {}
        self.stranger = False
        """Whether it knows nobody of that name."""
        self.play: Iterator[None] = iter(())
        self.uploads: Callable[[Any], None] = self.run_upload
        self.sent: Callable[[int], None] = lambda count: None
        """Called with how many bytes an exec has taken so far, at first before it is open."""
        self.away = 0
        """So many requests are answered by 503."""
        self.drop = False
        """The next log breaks off before its last line."""
        self.lines = 0
        self.waits = 0

    # what a test does to the cluster

    def tick(self) -> None:
        self.waits += 1
        assert self.waits < 500, "the command waits for ever"
        next(self.play, None)

    def run_upload(self, pod: Any) -> None:
        self.put(pod, "upload", state())

    def start_pod(self) -> Any:
        """A pod of the newest job."""
        job = list(self.kept["jobs"].values())[-1]
        return self.add_pod(job, f"{job.metadata.name}-{len(self.kept['pods'])}")

    def add_pod(self, job: Any, name: str) -> Any:
        labels = {"batch.kubernetes.io/job-name": job.metadata.name}
        made = BEGAN + timedelta(minutes=len(self.kept["pods"]))
        metadata = k8s.V1ObjectMeta(name=name, labels=labels, creation_timestamp=made)
        status = k8s.V1PodStatus(phase="Pending")
        pod = k8s.V1Pod(metadata=metadata, spec=job.spec.template.spec, status=status)
        self.kept["pods"][name] = pod
        return pod

    def put(self, pod: Any, step: str, now: Any) -> None:
        """A container of the pod is now in this state."""
        initial = step in [each.name for each in pod.spec.init_containers or ()]
        kind = "init_container_statuses" if initial else "container_statuses"
        others = [each for each in getattr(pod.status, kind) or () if each.name != step]
        one = k8s.V1ContainerStatus(
            name=step, image="", image_id="", ready=False, restart_count=0, state=now
        )
        setattr(pod.status, kind, [*others, one])
        pod.status.phase = "Running" if now.waiting is None else "Pending"

    def log(self, pod: Any, step: str, *lines: str | dict[str, Any]) -> None:
        for line in lines:
            self.lines += 1
            stamp = f"2026-01-01T00:00:00.{self.lines:09}Z"
            text = line if isinstance(line, str) else json.dumps(line)
            self.logs.setdefault((pod.metadata.name, step), []).append(f"{stamp} {text}\n")

    def finish(self, kind: str = "Complete", reason: str = "", message: str = "") -> None:
        condition = k8s.V1JobCondition(type=kind, status="True", reason=reason, message=message)
        job = list(self.kept["jobs"].values())[-1]
        job.status = k8s.V1JobStatus(conditions=[condition])

    # what it answers

    async def answer(self, request: web.Request) -> web.StreamResponse:
        found = PATH.fullmatch(request.path)
        assert found, request.path
        _, kind, name, part = found.groups()
        verb = VERBS[request.method] if name or request.method == "POST" else "list"
        resource = f"{kind}/{part}" if part else kind
        # since 1.35 a websocket's GET wants both
        for each in (verb, "create") if part == "exec" else (verb,):
            self.asked.add((each, resource))
            if message := self.forbidden.get((each, resource)):
                return _status(403, message)
        if self.stranger:
            return _status(401, "Unauthorized")
        if self.away:
            self.away -= 1
            return _status(503, "the server is currently unable to handle the request")
        if name and name not in self.kept[kind]:
            return _status(404, f'{kind} "{name}" not found')
        return await self._do(request, verb, kind, name, part)

    async def _do(
        self, request: web.Request, verb: str, kind: str, name: str, part: str | None
    ) -> web.StreamResponse:
        special: dict[str, Callable[..., Awaitable[web.StreamResponse]]]
        special = {"exec": self._exec, "log": self._log}
        if part is not None:
            return await special[part](request, name)
        if verb == "list":
            items = [each for each in self.kept[kind].values() if _selected(request, each)]
            return _json({"items": items})
        if verb == "create":
            return _json(self._create(kind, await request.json()))
        return _json(self.kept[kind].pop(name) if verb == "delete" else self.kept[kind][name])

    def _create(self, kind: str, body: dict[str, Any]) -> Any:
        kubernetes_validate.validate(body, "1.36", strict=True)
        made = model(MODELS[kind], body)
        name = made.metadata.name
        assert name not in self.kept[kind]
        made.status = k8s.V1PodStatus(phase="Pending") if kind == "pods" else k8s.V1JobStatus()
        self.kept[kind][name] = made
        if kind == "pods":
            self.uploads(made)
        return made

    async def _log(self, request: web.Request, pod: str) -> web.StreamResponse:
        """Follows as the kubelet does: till the container has ended, or the connection."""
        step = request.query["container"]
        assert request.query["follow"] == request.query["timestamps"] == "True"
        response = web.StreamResponse()
        await response.prepare(request)
        written = 0
        while True:
            now = self.kept["pods"].get(pod)
            lines = self.logs.get((pod, step), [])
            if self.drop and request.transport:
                self.drop = False
                await response.write("".join(lines[written:-1]).encode())
                request.transport.abort()
                return response
            await response.write("".join(lines[written:]).encode())
            written = len(lines)
            statuses = [] if now is None else [
                *(now.status.init_container_statuses or ()), *(now.status.container_statuses or ()),
            ]  # fmt: skip
            if not any(each.name == step and each.state.running for each in statuses):
                return response
            self.tick()

    async def _exec(self, request: web.Request, pod: str) -> web.StreamResponse:
        self.sent(0)
        socket = web.WebSocketResponse(protocols=PROTOCOLS)
        await socket.prepare(request)
        data = str(self.volume / "data")
        command = [re.sub(r"^/data", data, each) for each in request.query.getall("command")]
        process = await asyncio.create_subprocess_exec(
            *command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            env={"PATH": f"{self.volume / 'bin'}:/usr/bin:/bin"},
        )  # fmt: skip
        feeding = asyncio.create_task(self._feed(socket, process))
        # there is no end of the input: the command has to know it by itself
        output, errors = await asyncio.gather(process.stdout.read(), process.stderr.read())  # type: ignore[union-attr]
        code = await process.wait()
        feeding.cancel()
        causes = [{"reason": "ExitCode", "message": str(code)}]
        failed = {"status": "Failure", "reason": "NonZeroExitCode", "details": {"causes": causes}}
        status = failed if code else {"metadata": {}, "status": "Success"}
        if not socket.closed and pod in self.kept["pods"]:
            for channel, text in ((STDOUT, output), (STDERR, errors)):
                await socket.send_bytes(channel + text)
            await socket.send_bytes(ERROR + json.dumps(status).encode())
        await socket.close()
        return socket

    async def _feed(self, socket: web.WebSocketResponse, process: Any) -> None:
        count = 0
        async for message in socket:
            assert message.type is WSMsgType.BINARY
            assert message.data[:1] == b"\0"
            process.stdin.write(message.data[1:])
            count += len(message.data) - 1
            self.sent(count)
        process.stdin.close()  # who sent is gone


def _json(thing: Any, status: int = 200) -> web.Response:
    return web.json_response(codec.sanitize_for_serialization(thing), status=status)


def _status(code: int, message: str) -> web.Response:
    return _json({"kind": "Status", "status": "Failure", "message": message, "code": code}, code)


def _selected(request: web.Request, thing: Any) -> bool:
    """By `a=b` and `a in (b, c)`."""
    labels = thing.metadata.labels
    terms = re.findall(
        r"([\w./-]+)(?:=([\w-]+)| in \(([\w, -]+)\))", request.query["labelSelector"]
    )
    assert terms
    return all(labels.get(key) in (one or some).split(", ") for key, one, some in terms)


class Server:
    """Runs the stand-in in a thread until the block's end."""

    def __init__(self, standin: StandIn) -> None:
        self._standin = standin
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)

    def __enter__(self) -> str:
        self._thread.start()
        return asyncio.run_coroutine_threadsafe(self._start(), self._loop).result()

    async def _start(self) -> str:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._standin.answer)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        return f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._runner.cleanup(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
