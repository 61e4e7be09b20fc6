"""How much slower answers are while a bot learns on the same cores, under the manifests' weights.

`python -m benchmarks.beside_training FOLDER`: generation and a training of ruGPT3Small's shape run
in control groups with the shares that their CPU requests give them in Kubernetes. The training is
stopped and continued by turns. Wants root and cgroups. Ends with 1 when answers take twice as long.
"""

import asyncio
import itertools
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml

from benchmarks.support.generation_service import ask_at_once, asking, make, served
from benchmarks.support.report import JsonOption, Line, median, report
from services.generation.client import GenerationClient

ROOT = Path(__file__).parents[1]
CHATS, MOST = (1, 4), 2.0
V1, V2 = Path("/sys/fs/cgroup/cpu"), Path("/sys/fs/cgroup")
NUMBERS = itertools.count(1)


def requests() -> tuple[int, int]:
    """Return the thousandths of a core that generation and a training request."""
    [generation, *_] = yaml.safe_load_all((ROOT / "k8s/base/generation.yaml").read_text())
    jobs = yaml.safe_load((ROOT / "k8s/jobs/jobs.yaml").read_text())["items"]
    [train] = [job for job in jobs if job["metadata"]["name"] == "train"]
    pods = generation["spec"], train["spec"]["jobTemplate"]["spec"]
    served, learning = (_millicores(pod["template"]["spec"]["containers"][0]) for pod in pods)
    return served, learning


def _millicores(container: dict[str, Any]) -> int:
    return int(container["resources"]["requests"]["cpu"].removesuffix("m"))


@contextmanager
def group(name: str, millicores: int) -> Iterator[Path]:
    """Make a control group with the weight that the kubelet gives to such a request."""
    shares = max(2, millicores * 1024 // 1000)
    folder = (V1 if V1.is_dir() else V2) / f"beside-{name}"
    folder.mkdir()
    try:
        if V1.is_dir():
            (folder / "cpu.shares").write_text(str(shares))
        else:
            (folder / "cpu.weight").write_text(str(1 + (shares - 2) * 9999 // 262142))
        yield folder
    finally:
        folder.rmdir()


def put(process: int, folder: Path) -> None:
    (folder / "cgroup.procs").write_text(str(process))


@contextmanager
def learning(root: Path, folder: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """Run a training inside the block, stopped once it has begun its steps."""
    command = [
        sys.executable, "-m", "training_jobs.finetune", "--bot", str(root / "bots/big.yaml"),
        "--dataset", str(root / "dataset"), "--output", str(root / "beside"),
        "--base", str(root / "base"), "--epochs", "1000",
    ]  # fmt: skip
    environment = {**os.environ, "LOG_FORMAT": "text"}
    process = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE)
    put(process.pid, folder)
    try:
        assert process.stderr
        process.stderr.readline()  # it logs after half a minute of steps
        process.send_signal(signal.SIGSTOP)
        yield process
    finally:
        process.kill()
        process.wait()


async def seconds(client: GenerationClient, chats: int) -> float:
    first = next(NUMBERS) * 100
    return (await ask_at_once(client, "big", range(first, first + chats))).quantile(0.5)


async def measure(root: Path, rounds: int) -> dict[int, dict[bool, float]]:
    """Return the median seconds of a reply by chats at once, without and beside the training."""
    for_answers, for_learning = requests()
    with (
        group("generation", for_answers) as first,
        group("training", for_learning) as second,
        served(root / "bots", root / "models") as there,
        learning(root, second) as training,
    ):
        put(there.process.pid, first)
        put(there.engine(), first)
        found: dict[int, dict[bool, list[float]]] = {n: {False: [], True: []} for n in CHATS}
        async with asking(there.address) as client:
            for chats in CHATS:
                await seconds(client, chats)
                for _ in range(rounds):
                    for beside in (False, True):
                        training.send_signal(signal.SIGCONT if beside else signal.SIGSTOP)
                        found[chats][beside].append(await seconds(client, chats))
    return {n: {beside: median(each) for beside, each in both.items()} for n, both in found.items()}


def main(
    root: Annotated[Path, typer.Argument(help="Where the models are made, or were.")],
    json: JsonOption = None,
    rounds: Annotated[int, typer.Option(min=1, help="Turns with and without the training.")] = 8,
) -> None:
    """Measure, print a table, and end with 1 when a bar is missed."""
    make(root)
    found = asyncio.run(measure(root, rounds))
    report(
        (
            Line(f"{chats} at once, s beside a training", both[True], both[False], MOST, True)
            for chats, both in found.items()
        ),
        json,
    )


if __name__ == "__main__":
    typer.run(main)
