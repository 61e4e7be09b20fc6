"""What benchmarks of generation share: bots of ruGPT3Small's shape, and the service around them.

The models go the whole way: fine-tuned for two steps, converted, published, served by the real
process. Their weights are random: texts mean nothing, sizes and speed are the real ones.
"""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from benchmarks.support.health import is_serving
from benchmarks.support.report import quantile
from benchmarks.support.rugpt3_shape import write_rugpt3
from contracts.conversation import Conversation
from contracts.model_version import BotModels
from extraction_jobs.build_dataset import build
from extraction_jobs.inputs import ExtractionConfig, Inputs
from extraction_jobs.sample_chats.__main__ import main as write_sample_chats
from extraction_jobs.stored_export import Source
from protos.generation.v1 import generation_pb2 as pb
from services.generation.client import GenerationClient, turn
from training_jobs.bot_config import TrainingConfig
from training_jobs.convert import convert
from training_jobs.finetune import finetune
from training_jobs.publish import publish
from training_jobs.run_folder import read_run

PROMPT, NEW, TOP_K = 128, 64, 50
BOTS: dict[str, Literal["int8", "int4"]] = {"big": "int8", "small": "int4", "third": "int8"}
MODULE = "services.generation"


def make(root: Path) -> Path:
    """Publish BOTS below `root`, unless they are there already; return the weights' folder."""
    run, models = root / "run", root / "models"
    if not (root / "made").exists():
        write_sample_chats(root)
        extraction = ExtractionConfig(persona="whole-chat", heldout_share=0.01)
        export = Source.of(root / "avtobus/exports/result.json")
        build(Inputs("big", extraction, Conversation(), [export]), root / "dataset")
        config = TrainingConfig(
            base=str(write_rugpt3(root / "base")), max_steps=2, learning_rate=1e-6, block_tokens=256
        )
        finetune("big", config, root / "dataset", run)
        (root / "bots").mkdir()
        for bot, precision in BOTS.items():
            (root / "bots" / f"{bot}.yaml").write_text(f"name: {bot}\n")
            convert(run, root / "dataset", precision)
            renamed = read_run(run).model_copy(update={"bot": bot})
            (run / "run.json").write_text(renamed.model_dump_json(), encoding="utf-8")
            # forced: the quality of random weights may fall as it likes
            publish(bot, run, BotModels(models / bot), force=True)
        (root / "made").touch()
    return run / "model"


@dataclass(frozen=True)
class Served:
    """The running service; it took `start_seconds` until it was healthy."""

    process: "subprocess.Popen[bytes]"
    address: str
    metrics: int
    start_seconds: float

    def engine(self) -> int:
        """Return the engine's process id; a version may be tried in a younger child beside it."""
        tasks = Path(f"/proc/{self.process.pid}/task").iterdir()
        return min(int(pid) for task in tasks for pid in (task / "children").read_text().split())

    def anonymous_mb(self) -> float:
        """Return the memory of both processes that no file backs."""
        return sum(map(anonymous_mb, (self.process.pid, self.engine())))


def anonymous_mb(pid: int) -> float:
    rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
    [kilobytes] = [line.split()[1] for line in rollup.splitlines() if line.startswith("Anonymous:")]
    return int(kilobytes) / 1024


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


@contextmanager
def served(bots: Path, models: Path, module: str = MODULE, **environment: str) -> Iterator[Served]:
    """Run the service's real process inside the block."""
    port, metrics = _free_port(), _free_port()
    variables = {
        **os.environ,
        "BOTS_DIR": str(bots),
        "MODELS_DIR": str(models),
        "GRPC_PORT": str(port),
        "METRICS_PORT": str(metrics),
        "LOG_LEVEL": "error",
        **environment,
    }
    began = time.perf_counter()
    process = subprocess.Popen([sys.executable, "-m", module], env=variables)
    try:
        if not is_serving(f"127.0.0.1:{port}", 60, process):
            raise RuntimeError("the service did not start")
        yield Served(process, f"127.0.0.1:{port}", metrics, time.perf_counter() - began)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()


@asynccontextmanager
async def asking(address: str) -> AsyncIterator[GenerationClient]:
    async with GenerationClient(address, timeout=120, retry=False) as client:
        yield client


def prompt(number: int, tokens: int = PROMPT) -> list[pb.Turn]:
    """Return a conversation of so many tokens, an even number; each number's begins differently."""
    # a letter is a pair of bytes, a token; the prompt's format adds two of its own
    text = f"{number:06d}" + "аб" * ((tokens - 8) // 2)
    return [turn(text)]


def sampling() -> pb.Sampling:
    return pb.Sampling(temperature=1.0, top_k=TOP_K, top_p=1.0, repetition=1.0)


@dataclass(frozen=True)
class Round:
    """The answers to chats that each asked once, at the same moment."""

    tokens_per_second: float
    seconds: list[float]

    def quantile(self, share: float) -> float:
        return quantile(self.seconds, share)


async def ask_at_once(client: GenerationClient, bot: str, numbers: range) -> Round:
    """Let each number ask with its own prompt; the speed counts new tokens, the time all."""
    seconds: list[float] = []

    async def one(number: int) -> int:
        began = time.perf_counter()
        response = await client.generate(
            bot,
            prompt(number),
            chat_key=str(number),
            seed=number,
            sampling=sampling(),
            max_new_tokens=NEW,
        )
        seconds.append(time.perf_counter() - began)
        return response.candidates[0].tokens

    began = time.perf_counter()
    tokens = await asyncio.gather(*map(one, numbers))
    return Round(sum(tokens) / (time.perf_counter() - began), seconds)
