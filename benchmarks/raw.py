"""OpenVINO GenAI's pipeline alone in one process: what the service can lose of.

`python -m benchmarks.raw VERSION` answers each line, so many streams, with tokens a second.
"""

import random
import sys
import time
from typing import Any

import numpy as np
import openvino as ov
import openvino_genai as genai

from benchmarks.bots import NEW, PROMPT, TOP_K

THREADS = 2


def pipeline_of(version: str) -> Any:
    """As the engine makes it."""
    scheduler = genai.SchedulerConfig()
    scheduler.cache_size, scheduler.max_num_seqs, scheduler.enable_prefix_caching = 1, 32, True
    properties = {"INFERENCE_NUM_THREADS": THREADS, "ENABLE_CPU_PINNING": True}
    return genai.ContinuousBatchingPipeline(version, scheduler, "CPU", properties)


def speed(pipeline: Any, streams: int) -> float:
    """New tokens a second, prompts included."""
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
    made = pipeline_of(sys.argv[1])
    speed(made, 1)
    for line in sys.stdin:
        print(speed(made, int(line)), flush=True)
