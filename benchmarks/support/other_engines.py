"""The engines that our generation service is compared with: llama.cpp and CTranslate2 int8.

It runs in an environment of its own and imports nothing of ours. Fill that environment with
`pip install llama-cpp-python gguf ctranslate2 safetensors` (llama.cpp compiles for this CPU), then
`PYTHON benchmarks/support/other_engines.py HF_FOLDER WORK_FOLDER` converts a GPT-2 into WORK_FOLDER
and speaks lines: `{"peers": [name, ...]}` first, then for each line `name n` on stdin
`{"tokens_per_second": x}`: n streams at once, prompts of 128 random ids, 64 new tokens each,
2 threads, top_k 50. Speed is all the new tokens over the whole time, prompts included.
"""

import importlib
import json
import logging
import random
import shutil
import sys
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

PROMPT, NEW, THREADS, TOP_K = 128, 64, 2, 50
STREAMS = 16  # at once, at most
REST = 0.1  # seconds, in which OpenMP's threads stop spinning and leave the cores to others
PARTS = {
    "ln_1": "attn_norm",
    "attn.c_attn": "attn_qkv",
    "attn.c_proj": "attn_output",
    "ln_2": "ffn_norm",
    "mlp.c_fc": "ffn_up",
    "mlp.c_proj": "ffn_down",
}
Weights = dict[str, NDArray[np.float32]]


def read(folder: Path) -> tuple[dict[str, Any], Weights]:
    """The configuration and the weights by their names in GPT2Model, matrices as (out, in)."""
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    load = importlib.import_module("safetensors.numpy").load_file
    weights: Weights = {}
    for key, value in load(folder / "model.safetensors").items():
        turned = value.T if ".c_" in key else value  # Conv1D is (in, out); a bias stays as it is
        weights[key.removeprefix("transformer.")] = np.ascontiguousarray(turned, np.float32)
    return config, weights


def write_gguf(config: dict[str, Any], weights: Weights, kind: str, path: Path) -> None:
    """The matrices and the tied embeddings in this kind, the rest in f32; no vocabulary."""
    gguf = importlib.import_module("gguf")
    writer = gguf.GGUFWriter(path, "gpt2")
    writer.add_context_length(config["n_positions"])
    writer.add_embedding_length(config["n_embd"])
    writer.add_feed_forward_length(4 * config["n_embd"])
    writer.add_block_count(config["n_layer"])
    writer.add_head_count(config["n_head"])
    writer.add_layer_norm_eps(config["layer_norm_epsilon"])
    writer.add_vocab_size(config["vocab_size"])
    writer.add_tokenizer_model("no_vocab")
    names = {"wte": "token_embd", "wpe": "position_embd", "ln_f": "output_norm"}
    for layer in range(config["n_layer"]):
        names |= {f"h.{layer}.{ours}": f"blk.{layer}.{theirs}" for ours, theirs in PARTS.items()}
    for key, value in weights.items():
        part, _, tail = key.rpartition(".")
        plain = value.ndim == 1 or part == "wpe"
        dtype = getattr(gguf.GGMLQuantizationType, "F32" if plain else kind)
        packed = gguf.quants.quantize(value, dtype)
        writer.add_tensor(f"{names[part]}.{tail}", packed, raw_dtype=dtype)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def write_ctranslate2(config: dict[str, Any], weights: Weights, folder: Path) -> None:
    """As CTranslate2's own converter of GPT-2 writes it; a token's text is its number."""
    specs = importlib.import_module("ctranslate2.specs")
    spec = specs.TransformerDecoderModelSpec.from_config(
        config["n_layer"], config["n_head"], activation=specs.Activation.GELUTanh
    )
    spec.decoder.scale_embeddings = False
    spec.decoder.embeddings.weight = spec.decoder.projection.weight = weights["wte.weight"]
    spec.decoder.position_encodings.encodings = weights["wpe.weight"]
    places = {"ln_f": spec.decoder.layer_norm}
    for number, layer in enumerate(spec.decoder.layer):
        attention, ffn = layer.self_attention, layer.ffn
        found = [attention.layer_norm, *attention.linear]
        found += [ffn.layer_norm, ffn.linear_0, ffn.linear_1]
        places |= {f"h.{number}.{part}": place for part, place in zip(PARTS, found, strict=True)}
    for key, place in places.items():
        weight, bias = ("gamma", "beta") if "ln_" in key else ("weight", "bias")
        setattr(place, weight, weights[f"{key}.weight"])
        setattr(place, bias, weights[f"{key}.bias"])
    tokens = [str(number) for number in range(config["vocab_size"])]
    spec.register_vocabulary(tokens)
    spec.config.layer_norm_epsilon = config["layer_norm_epsilon"]
    spec.config.bos_token = spec.config.eos_token = spec.config.unk_token = tokens[0]
    spec.validate()
    spec.optimize(quantization="int8")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    spec.save(str(folder))


class LlamaCpp:
    """Sequences decoded side by side in one batch, as `llama-server --parallel` does it."""

    def __init__(self, path: Path, kind: str) -> None:
        self.name = f"llama.cpp {kind} (llama-cpp-python {version('llama-cpp-python')})"
        logging.getLogger("llama-cpp-python").setLevel(logging.CRITICAL)  # else it logs each node
        self.cpp = importlib.import_module("llama_cpp")
        self.cpp.llama_backend_init()
        model = self.cpp.llama_model_load_from_file(
            str(path).encode(), self.cpp.llama_model_default_params()
        )
        settings = self.cpp.llama_context_default_params()
        settings.n_seq_max = STREAMS
        settings.n_ctx = STREAMS * 256  # a stream has PROMPT + NEW, padded to 256
        settings.n_batch, settings.n_ubatch = STREAMS * PROMPT, 512  # 128 and 2048 are no faster
        settings.n_threads = settings.n_threads_batch = THREADS
        settings.flash_attn_type = self.cpp.LLAMA_FLASH_ATTN_TYPE_ENABLED  # faster than without
        self.context = self.cpp.llama_init_from_model(model, settings)
        if not self.context:
            raise RuntimeError(f"llama.cpp did not load {path}")
        self.batch = self.cpp.llama_batch_init(STREAMS * PROMPT, 0, 1)

    def decode(self, rows: list[list[int]], start: int) -> list[int]:
        """Feed each sequence its row, from this position on; where in the batch each row ends."""
        batch, length = self.batch, len(rows[0])
        for sequence, row in enumerate(rows):
            for offset, token in enumerate(row):
                place = sequence * length + offset
                batch.token[place], batch.pos[place] = token, start + offset
                batch.n_seq_id[place], batch.seq_id[place][0] = 1, sequence
                batch.logits[place] = offset == length - 1
        batch.n_tokens = len(rows) * length
        if code := self.cpp.llama_decode(self.context, batch):
            raise RuntimeError(f"llama_decode: {code}")
        return [(sequence + 1) * length - 1 for sequence in range(len(rows))]

    def replies(self, prompts: list[list[int]], top_k: int) -> list[list[int]]:
        """NEW tokens after each prompt; the prompts are of one length."""
        cpp = self.cpp
        sampler = cpp.llama_sampler_chain_init(cpp.llama_sampler_chain_default_params())
        cpp.llama_sampler_chain_add(sampler, cpp.llama_sampler_init_top_k(top_k))
        cpp.llama_sampler_chain_add(sampler, cpp.llama_sampler_init_dist(random.getrandbits(32)))
        cpp.llama_memory_clear(cpp.llama_get_memory(self.context), False)
        rows, start, steps = prompts, 0, []
        for _ in range(NEW):
            places, start = self.decode(rows, start), start + len(rows[0])
            new = [cpp.llama_sampler_sample(sampler, self.context, place) for place in places]
            rows = [[token] for token in new]
            steps.append(new)
        cpp.llama_sampler_free(sampler)
        return [list(reply) for reply in zip(*steps, strict=True)]


class CTranslate2:
    """`Generator.generate_batch`, end of text never."""

    def __init__(self, folder: Path) -> None:
        self.name = f"CTranslate2 int8 ({version('ctranslate2')})"
        make = importlib.import_module("ctranslate2").Generator
        self.generator = make(
            str(folder), device="cpu", compute_type="int8", inter_threads=1, intra_threads=THREADS
        )

    def replies(self, prompts: list[list[int]], top_k: int) -> list[list[int]]:
        """NEW tokens after each prompt."""
        results = self.generator.generate_batch(
            [[str(token) for token in prompt] for prompt in prompts],
            min_length=NEW,
            max_length=NEW,
            include_prompt_in_result=False,
            sampling_topk=top_k,
        )
        return [result.sequences_ids[0] for result in results]


Peer = LlamaCpp | CTranslate2


def load(source: Path, folder: Path) -> list[Peer]:
    """Convert the model and load each engine."""
    folder.mkdir(parents=True, exist_ok=True)
    config, weights = read(source)
    peers: list[Peer] = []
    for kind in ("Q8_0", "Q4_0"):
        write_gguf(config, weights, kind, folder / f"{kind}.gguf")
        peers.append(LlamaCpp(folder / f"{kind}.gguf", kind))
    write_ctranslate2(config, weights, folder / "ctranslate2")
    return [*peers, CTranslate2(folder / "ctranslate2")]


def speed(peer: Peer, streams: int) -> float:
    """New tokens a second of so many streams at once, never the same prompts."""
    if not 0 < streams <= STREAMS:
        raise ValueError(f"1 to {STREAMS} streams, not {streams}")
    prompts = [[random.randint(300, 50_000) for _ in range(PROMPT)] for _ in range(streams)]
    started = time.perf_counter()
    replies = peer.replies(prompts, TOP_K)
    seconds = time.perf_counter() - started
    if {len(reply) for reply in replies} != {NEW}:
        raise RuntimeError(f"{peer.name} ended early")
    return streams * NEW / seconds


def main(source: Path, folder: Path) -> None:
    """Answer the lines of stdin."""
    peers = {peer.name: peer for peer in load(source, folder)}
    print(json.dumps({"peers": list(peers)}), flush=True)
    for line in sys.stdin:
        name, _, streams = line.strip().rpartition(" ")
        found = speed(peers[name], int(streams))
        time.sleep(REST)
        print(json.dumps({"tokens_per_second": found}), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
