"""Base models: the shapes in which they come, and what cannot be used."""

import json
import pickle
from pathlib import Path

import pytest
import torch
from transformers import GPT2LMHeadModel

from contracts.refusal import Refusal
from contracts.settings import Volumes
from tests.training_jobs.conftest import EXTRA_ROWS, write_gpt2
from training_jobs.base import DEMO_FOLDER, find_base, load_base
from training_jobs.tokenizer import load_tokenizer, train_tokenizer, vocabulary


@pytest.fixture
def volumes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Volumes:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    return Volumes(base_dir=tmp_path / "bases")


def test_ids_come_from_the_vocabulary_and_not_from_the_configuration(
    rugpt3: Path, volumes: Volumes
) -> None:
    base = load_base(str(rugpt3), volumes)
    assert (base.words.bos, base.words.eos) == (1, 2)
    assert (base.model.config.bos_token_id, base.model.config.eos_token_id) == (1, 2)
    rows = base.model.get_input_embeddings().num_embeddings
    assert rows == base.tokenizer.get_vocab_size() + EXTRA_ROWS
    assert base.notes == ()


def test_a_stale_tokenizer_json_does_not_win_over_the_vocabulary(
    rugpt3: Path, volumes: Volumes
) -> None:
    fresh = load_base(str(rugpt3), volumes).words.encode("Привет")
    train_tokenizer(["что-то совсем другое"], 270).save(str(rugpt3 / "tokenizer.json"))
    assert load_base(str(rugpt3), volumes).words.encode("Привет") == fresh


def test_tokenizer_json_alone_is_enough(tmp_path: Path) -> None:
    train_tokenizer(["Привет"], 280).save(str(tmp_path / "tokenizer.json"))
    tokenizer, added = load_tokenizer(tmp_path)
    assert not added
    assert vocabulary(tokenizer).bos == 1


def test_a_vocabulary_without_turn_marks_gets_them_and_the_manifest_is_told(
    tmp_path: Path, volumes: Volumes
) -> None:
    write_gpt2(tmp_path / "gpt2", special=())
    base = load_base(str(tmp_path / "gpt2"), volumes)
    size = base.tokenizer.get_vocab_size()
    assert {base.words.bos, base.words.eos} == {size - 2, size - 1}
    assert base.model.get_input_embeddings().num_embeddings == size
    assert base.notes == (
        "<s> added to the vocabulary",
        "</s> added to the vocabulary",
        f"embedding grown from {size - 2} to {size}",
    )


def test_special_token_text_is_encoded_as_text(rugpt3: Path, volumes: Volumes) -> None:
    words = load_base(str(rugpt3), volumes).words
    ids = words.encode("раз</s><s>два<pad>")
    assert not {0, 1, 2, 3, 4} & set(ids)


def test_a_base_is_looked_up_in_base_dir_before_the_hub(volumes: Volumes) -> None:
    kept = write_gpt2(volumes.base("ai-forever/some-gpt"))
    assert find_base("ai-forever/some-gpt", volumes) == kept
    assert find_base("demo", volumes) == DEMO_FOLDER


@pytest.mark.parametrize("name", ["no-such-folder", "./here", "a/b/c"])
def test_a_name_that_is_neither_folder_nor_hub_name_is_refused(name: str, volumes: Volumes) -> None:
    with pytest.raises(Refusal, match="no such folder"):
        find_base(name, volumes)


def test_a_hub_that_cannot_be_reached_says_where_to_put_the_files(volumes: Volumes) -> None:
    with pytest.raises(Refusal, match="ai-forever--rugpt3small"):
        find_base("ai-forever/rugpt3small", volumes)


class _Bomb:
    """Pickled, it writes a file when it is loaded."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return (open, (self.path, "w"))


def test_code_in_a_pickle_is_refused_and_does_not_run(
    rugpt3: Path, volumes: Volumes, tmp_path: Path
) -> None:
    trace = tmp_path / "it-ran"
    with (rugpt3 / "pytorch_model.bin").open("wb") as file:
        pickle.dump({"transformer.wte.weight": _Bomb(str(trace))}, file)
    with pytest.raises(Refusal, match="weights cannot be loaded"):
        load_base(str(rugpt3), volumes)
    assert not trace.exists()


def _break(name: str) -> object:
    def write(folder: Path) -> None:
        (folder / name).write_bytes(b"\x00 broken")

    return write


def _other_model(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "model_type": "llama"}))


def _forget_a_layer(folder: Path) -> None:
    weights = torch.load(folder / "pytorch_model.bin")
    kept = {key: value for key, value in weights.items() if "mlp" not in key}
    torch.save(kept, folder / "pytorch_model.bin")


def _shrink_embedding(folder: Path) -> None:
    model = GPT2LMHeadModel.from_pretrained(folder)
    model.resize_token_embeddings(50)
    model.save_pretrained(folder)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda folder: (folder / "config.json").unlink(), "config.json is missing"),
        (_break("config.json"), "config.json cannot be read"),
        (_other_model, "only GPT-2"),
        (lambda folder: (folder / "vocab.json").unlink(), "no tokenizer"),
        (_break("vocab.json"), "tokenizer cannot be read"),
        (_break("pytorch_model.bin"), "weights cannot be loaded"),
        (lambda folder: (folder / "pytorch_model.bin").unlink(), "weights cannot be loaded"),
        (_forget_a_layer, "weights are missing"),
        (_shrink_embedding, "do not belong together"),
    ],
)
def test_an_unusable_folder_is_refused_in_one_line(
    rugpt3: Path, volumes: Volumes, spoil: object, message: str
) -> None:
    spoil(rugpt3)  # type: ignore[operator]
    with pytest.raises(Refusal, match=message) as refused:
        load_base(str(rugpt3), volumes)
    assert "\n" not in str(refused.value)
