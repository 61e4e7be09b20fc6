"""A bot file is found by name, split into sections, and refused with the path of what is wrong."""

from pathlib import Path

import pytest

from contracts.bot_file import SECTIONS, BotFile, bot_names, bot_path, read_bot
from contracts.refusal import Refusal
from contracts.sampling import Sampling


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def test_sections_are_validated_by_the_model_of_their_stage(tmp_path: Path) -> None:
    path = write(tmp_path / "bot.yaml", "name: avtobus\nsampling: {top_k: 7}\n")
    bot = BotFile.read(path)
    assert (bot.name, bot.path) == ("avtobus", path)
    assert bot.section("sampling", Sampling) == Sampling(top_k=7)


@pytest.mark.parametrize("section", SECTIONS)
@pytest.mark.parametrize("text", ["name: b\n", "name: b\n{}:\n", "name: b\n{}: {{}}\n"])
def test_a_section_left_out_or_empty_has_defaults(tmp_path: Path, section: str, text: str) -> None:
    bot = BotFile.read(write(tmp_path / "bot.yaml", text.format(section)))
    assert bot.section(section, Sampling) == Sampling()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("name: [", "not valid YAML (line 1: expected the node content"),
        ("name: b\x00", "not valid YAML"),
        ("name: b\nname: c\n", "line 1: key 'name' is given twice"),
        ("name: b\nsampling: {top_k: 1, top_k: 2}\n", "key 'top_k' is given twice"),
        ("name: b\nsampling: !!python/object:os.system {}\n", "not valid YAML"),
        ("name: b\ntraining: {until: 2024-02-30}\n", "not valid YAML"),
        ("name: b\ntraining: {until: !!int soon}\n", "not valid YAML"),
        ("", "a mapping with at least a `name`"),
        ("- name: b\n", "a mapping with at least a `name`"),
        ("avtobus", "a mapping with at least a `name`"),
    ],
)
def test_a_file_that_is_no_mapping_is_refused(tmp_path: Path, text: str, told: str) -> None:
    path = write(tmp_path / "bot.yaml", text)
    with pytest.raises(Refusal) as refused:
        BotFile.read(path)
    assert str(refused.value).startswith(f"{path}: ")
    assert told in str(refused.value)


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "bot.yaml").write_bytes(b"name: \xff\xfe")
    with pytest.raises(Refusal, match="cannot be read"):
        BotFile.read(tmp_path / "bot.yaml")


@pytest.mark.parametrize("missing", ["none.yaml", "file/bot.yaml", "."])
def test_a_missing_file_is_no_bot(tmp_path: Path, missing: str) -> None:
    write(tmp_path / "file", "not a folder")
    with pytest.raises(Refusal, match="no such bot file"):
        BotFile.read(tmp_path / missing)


BAD_NAMES = ("", "Avtobus", "-b", "1b", "автобус", "a/b", "..", "a b", "b" * 33, "5", "[b]", "null")


@pytest.mark.parametrize("name", [*BAD_NAMES, "kustomization"])
def test_a_bad_name_is_refused_with_the_value_and_what_is_allowed(
    tmp_path: Path, name: str
) -> None:
    allowed = "lower-case letters, digits and dashes, at most 32, a letter first"
    with pytest.raises(Refusal, match=f"bot.yaml: name: must be {allowed}.*given: "):
        BotFile.read(write(tmp_path / "bot.yaml", f"name: {name}\n"))


def test_every_unknown_section_is_named(tmp_path: Path) -> None:
    with pytest.raises(Refusal, match="sampler: unknown key; 7: unknown key; name: must be"):
        BotFile.read(write(tmp_path / "bot.yaml", "sampler: {}\n7: {}\n"))


def test_a_bad_value_in_a_section_is_named_by_its_dotted_path(tmp_path: Path) -> None:
    text = "name: b\nsampling: {topk: 1, stop: [a, '']}\n"
    bot = BotFile.read(write(tmp_path / "bot.yaml", text))
    with pytest.raises(Refusal) as refused:
        bot.section("sampling", Sampling)
    stop = "sampling.stop.1: string should have at least 1 character (given: '')"
    assert str(refused.value) == f"{bot.path}: {stop}; sampling.topk: unknown key"


def test_bots_are_found_as_a_file_or_a_folder(tmp_path: Path) -> None:
    as_file = write(tmp_path / "polkson.yaml", "name: polkson\n")
    as_folder = write(tmp_path / "avtobus" / "bot.yaml", "name: avtobus\n")
    write(tmp_path / "notes.txt", "")
    write(tmp_path / "..data" / "bot.yaml", "")
    write(tmp_path / "Bad.yaml", "")
    write(tmp_path / "kustomization.yaml", "kind: Kustomization\n")
    (tmp_path / "empty").mkdir()
    assert bot_path(tmp_path, "polkson") == as_file
    assert bot_path(tmp_path, "avtobus") == as_folder
    assert bot_names(tmp_path) == ["avtobus", "polkson"]
    assert bot_names(tmp_path / "none") == []


@pytest.mark.parametrize("name", ["nobody", "", "../outside", "Bad", "sub/bot", "kustomization"])
def test_a_bot_that_is_not_there_is_not_found(tmp_path: Path, name: str) -> None:
    for path in ("kustomization.yaml", "Bad.yaml", "sub/bot.yaml", "sub/bot/bot.yaml"):
        write(tmp_path / "bots" / path, "name: b\n")
    write(tmp_path / "outside.yaml", "name: b\n")
    with pytest.raises(Refusal, match="no bot"):
        bot_path(tmp_path / "bots", name)


@pytest.mark.parametrize("value", ["off", "[]", "0", "''"])
def test_a_section_that_is_no_mapping_is_refused(tmp_path: Path, value: str) -> None:
    bot = BotFile.read(write(tmp_path / "bot.yaml", f"name: b\nsampling: {value}\n"))
    with pytest.raises(Refusal, match="sampling"):
        bot.section("sampling", Sampling)


def test_a_file_of_another_bot_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "vasya.yaml", "name: petya\n")
    assert read_bot(path, "petya").name == "petya"
    with pytest.raises(Refusal, match=r"vasya\.yaml: is of bot 'petya'"):
        read_bot(path, "vasya")
