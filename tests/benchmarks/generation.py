"""One stream of the service over gRPC against `transformers.generate`, ruGPT3Small's shape.

The model goes the whole way: fine-tuned for two steps, published, served. Prompt of about 128
tokens, 64 new; both sides in turn, medians. `python -m tests.benchmarks.generation --json FILE`
"""

import json as jsonlib
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from transformers import GPT2LMHeadModel

from contracts.model_version import BotModels
from extraction_jobs.build_dataset import build
from extraction_jobs.config import ExtractionConfig
from extraction_jobs.sample_chats.chats import avtobus
from protos.generation.v1 import generation_pb2 as pb
from services.generation.ask import ready
from services.generation.client import SyncGenerationClient, turn
from tests.benchmarks.report import Line, report
from tests.benchmarks.rugpt3 import write_rugpt3
from training_jobs.config import TrainingConfig
from training_jobs.convert import convert
from training_jobs.finetune import finetune
from training_jobs.publish import publish

BOT, PROMPT, NEW, ROUNDS, TOP_K = "avtobus", 128, 64, 7, 50
BAR = 5.0


def made(root: Path) -> Path:
    """A published bot of ruGPT3Small's shape; returns the fine-tuned weights' folder."""
    export = root / "result.json"
    export.write_text(jsonlib.dumps(avtobus(), ensure_ascii=False), encoding="utf-8")
    (root / "bots").mkdir()
    (root / "bots" / f"{BOT}.yaml").write_text(f"name: {BOT}\n")
    build(BOT, ExtractionConfig(persona="whole-chat"), export, root / "dataset")
    config = TrainingConfig(
        base=str(write_rugpt3(root / "base")), max_steps=2, learning_rate=1e-6, block_tokens=256
    )
    finetune(BOT, config, root / "dataset", root / "run")
    convert(root / "run", root / "dataset", "int8")
    publish(BOT, root / "run", BotModels(root / "models" / BOT))
    return root / "run" / "model"


@contextmanager
def served(root: Path) -> Iterator[SyncGenerationClient]:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    environment = {
        **os.environ,
        "BOTS_DIR": str(root / "bots"),
        "MODELS_DIR": str(root / "models"),
        "GRPC_PORT": str(port),
        "METRICS_PORT": "0",
        "LOG_LEVEL": "error",
    }
    process = subprocess.Popen([sys.executable, "-m", "services.generation"], env=environment)
    try:
        if not ready(f"127.0.0.1:{port}", 60):
            raise RuntimeError("the service did not start")
        with SyncGenerationClient(f"127.0.0.1:{port}", timeout=120) as client:
            yield client
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()


def ours(client: SyncGenerationClient, number: int) -> float:
    """Tokens a second of one reply, prompt included, as the client sees it."""
    text = f"{number:04d}" + "аб" * ((PROMPT - 4) // 2)  # two bytes a letter, a token each pair
    sampling = pb.Sampling(temperature=1.0, top_k=TOP_K, top_p=1.0, repetition=1.0)
    started = time.perf_counter()
    response = client.generate(
        BOT, [turn(text)], seed=number, sampling=sampling, max_new_tokens=NEW
    )
    seconds = time.perf_counter() - started
    return response.candidates[0].tokens / seconds


def theirs(model: Any, number: int) -> float:
    """The same with `generate` in fp32."""
    torch.manual_seed(number)
    prompt = torch.randint(5, 50_000, (1, PROMPT))
    started = time.perf_counter()
    reply = model.generate(
        prompt,
        attention_mask=torch.ones_like(prompt),
        max_new_tokens=NEW,
        min_new_tokens=NEW,
        do_sample=True,
        top_k=TOP_K,
    )
    return int(reply.shape[1] - PROMPT) / (time.perf_counter() - started)


def main(
    json: Annotated[Path | None, typer.Option(help="Where to write the figures.")] = None,
) -> None:
    """Compare one stream."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        model: Any = GPT2LMHeadModel.from_pretrained(made(root))
        with served(root) as client:
            pairs = [(ours(client, number), theirs(model, number)) for number in range(ROUNDS + 1)]
    mine, other = zip(*pairs[1:], strict=True)  # the first of each warms up
    line = Line("one stream, tokens/s", statistics.median(mine), statistics.median(other), BAR)
    report([line], json)


if __name__ == "__main__":
    typer.run(main)
