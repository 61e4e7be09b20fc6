"""Models: the shapes in which they are published, and what cannot be used."""

import pickle
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from transformers import GPT2LMHeadModel

from contracts.prompt import Vocabulary
from contracts.refusal import Refusal
from contracts.settings import Volumes
from tests.tiny_base import train_tokenizer
from tests.training_jobs.conftest import EXTRA_ROWS, write_gpt2
from training_jobs.language_model import DEMO_FOLDER, find_base, load_model
from training_jobs.tokenizer import load_tokenizer


@pytest.fixture
def volumes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Volumes:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    return Volumes(base_dir=tmp_path / "bases")


def test_ids_come_from_the_vocabulary_and_special_token_text_is_text(rugpt3: Path) -> None:
    base = load_model(rugpt3)
    assert (base.vocabulary.bos, base.vocabulary.eos, base.notes) == (1, 2, ())
    assert (base.model.config.bos_token_id, base.model.config.eos_token_id) == (1, 2)
    rows = base.model.get_input_embeddings().num_embeddings
    assert rows == base.tokenizer.get_vocab_size() + EXTRA_ROWS
    assert not {0, 1, 2, 3, 4} & {*base.vocabulary.encode("раз</s><s>два<pad>")}


def test_a_stale_tokenizer_json_is_not_preferred_to_the_vocabulary(rugpt3: Path) -> None:
    fresh = load_model(rugpt3).vocabulary.encode("Привет")
    train_tokenizer(["что-то совсем другое"], 270).save(str(rugpt3 / "tokenizer.json"))
    assert load_model(rugpt3).vocabulary.encode("Привет") == fresh


def test_tokenizer_json_alone_is_enough(tmp_path: Path) -> None:
    train_tokenizer(["Привет"], 280).save(str(tmp_path / "tokenizer.json"))
    tokenizer, added = load_tokenizer(tmp_path)
    assert (Vocabulary.of(tokenizer).bos, added) == (1, [])


def test_a_vocabulary_without_turn_marks_gets_them_and_the_notes_say_so(tmp_path: Path) -> None:
    base = load_model(write_gpt2(tmp_path / "gpt2", special=()))
    size = base.tokenizer.get_vocab_size()
    assert {base.vocabulary.bos, base.vocabulary.eos} == {size - 2, size - 1}
    assert base.model.get_input_embeddings().num_embeddings == size
    assert base.notes == (
        "<s> added to the vocabulary",
        "</s> added to the vocabulary",
        f"embedding grown from {size - 2} to {size}",
    )


def test_a_base_is_looked_up_in_base_dir_before_the_hub(volumes: Volumes) -> None:
    kept = write_gpt2(volumes.base("ai-forever/some-gpt"))
    assert find_base("ai-forever/some-gpt", volumes) == kept
    assert find_base("demo", volumes) == DEMO_FOLDER


@pytest.mark.parametrize(
    ("name", "message"),
    [
        *((name, "no such folder") for name in ("no-such-folder", "./here", "a/b/c")),
        ("ai-forever/rugpt3small", "ai-forever--rugpt3small"),  # where to put the files by hand
    ],
)
def test_a_base_that_is_nowhere_is_refused(name: str, message: str, volumes: Volumes) -> None:
    with pytest.raises(Refusal, match=message):
        find_base(name, volumes)


class _Bomb(str):
    """A path that, when its pickle is loaded, writes the file."""

    def __reduce__(self) -> tuple[object, ...]:
        return (open, (str(self), "w"))


def test_code_in_a_pickle_is_refused_and_does_not_run(rugpt3: Path, tmp_path: Path) -> None:
    trace = tmp_path / "it-ran"
    with (rugpt3 / "pytorch_model.bin").open("wb") as file:
        pickle.dump({"transformer.wte.weight": _Bomb(str(trace))}, file)
    with pytest.raises(Refusal, match="weights cannot be loaded"):
        load_model(rugpt3)
    assert not trace.exists()


def _break(file: Path) -> None:
    file.write_bytes(b"\x00 broken")


def _forget_a_layer(folder: Path) -> None:
    weights = torch.load(folder / "pytorch_model.bin")
    kept = {key: value for key, value in weights.items() if "mlp" not in key}
    torch.save(kept, folder / "pytorch_model.bin")


def _shrink_embedding(folder: Path) -> None:
    model = GPT2LMHeadModel.from_pretrained(folder)
    model.resize_token_embeddings(50)
    model.save_pretrained(folder)


@pytest.mark.parametrize(
    ("name", "spoil", "message"),
    [
        ("config.json", Path.unlink, "config.json is missing"),
        ("config.json", _break, "config.json: Invalid JSON"),
        ("config.json", lambda file: file.write_text('{"model_type": "llama"}'), "only GPT-2"),
        ("vocab.json", Path.unlink, "no tokenizer"),
        ("vocab.json", _break, "tokenizer cannot be read"),
        ("pytorch_model.bin", _break, "weights cannot be loaded"),
        ("pytorch_model.bin", Path.unlink, "weights cannot be loaded"),
        ("", _forget_a_layer, "weights are missing"),
        ("", _shrink_embedding, "do not belong together"),
    ],
)
def test_an_unusable_folder_is_refused_in_one_line(
    rugpt3: Path, name: str, spoil: Callable[[Path], object], message: str
) -> None:
    spoil(rugpt3 / name)
    with pytest.raises(Refusal, match=message) as refused:
        load_model(rugpt3)
    assert "\n" not in str(refused.value)
