"""OpenVINO GenAI's pipeline alone in one process: the speed that the service loses a part of.

A process of benchmarks.generation: `python -m benchmarks.support.raw_pipeline VERSION` reads a
number of streams from each line, and answers with tokens a second.
"""

import random
import sys
import time
from typing import Any

import numpy as np
import openvino as ov
import openvino_genai as genai

from benchmarks.support.generation_service import NEW, PROMPT, TOP_K

THREADS = 2


def pipeline_of(version: str) -> Any:
    """Make a pipeline as the engine does."""
    scheduler = genai.SchedulerConfig()
    scheduler.cache_size, scheduler.max_num_seqs, scheduler.enable_prefix_caching = 1, 32, True
    properties = {"INFERENCE_NUM_THREADS": THREADS, "ENABLE_CPU_PINNING": True}
    return genai.ContinuousBatchingPipeline(version, scheduler, "CPU", properties)


def speed(pipeline: Any, streams: int) -> float:
    """Return new tokens a second over the whole time, prompts included."""
    config = genai.GenerationConfig(
        max_new_tokens=NEW,
        min_new_tokens=NEW,
        do_sample=True,
        temperature=1.0,
        top_k=TOP_K,
        stop_token_ids={2},
        eos_token_id=2,
    )
    prompts = np.random.default_rng().integers(300, 50_000, (streams, 1, PROMPT))
    began = time.perf_counter()
    handles = [
        pipeline.add_request(random.getrandbits(40), ov.Tensor(prompt), config)
        for prompt in prompts
    ]
    while pipeline.has_non_finished_requests():
        pipeline.step()
    tokens = sum(len(each.generated_ids) for handle in handles for each in handle.read_all())
    return tokens / (time.perf_counter() - began)


if __name__ == "__main__":
    pipeline = pipeline_of(sys.argv[1])
    speed(pipeline, 1)
    for line in sys.stdin:
        print(speed(pipeline, int(line)), flush=True)
