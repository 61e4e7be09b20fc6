"""The documentation is true: its tables are up to date, what it names exists, its code runs."""

import ast
import asyncio
import re
import runpy
import sys
from pathlib import Path
from textwrap import dedent

import pytest

from contracts.bot_file import BotFile
from services.gateway.command_table import COMMANDS
from tests.conftest import Toy
from tests.generate_docs import DOCS, PROCESSES, SECTIONS, generate
from tests.services.generation.conftest import running

ROOT = DOCS.parent
READMES = [ROOT / "README.md", ROOT / "README.ru.md"]
PAGES = [*READMES, ROOT / "CONTRIBUTING.md", *sorted(DOCS.glob("*.md"))]


def _read(page: str) -> str:
    return (DOCS / page).read_text(encoding="utf-8")


@pytest.mark.parametrize("page", ["settings.md", "metrics.md"])
def test_generated_tables_are_up_to_date(page: str) -> None:
    assert _read(page) == generate(DOCS / page), "run make docs"


def test_a_variable_has_the_same_default_in_all_processes() -> None:
    settings = {model for models in PROCESSES.values() for model in models}
    defaults = {
        (name, repr(f.default)) for each in settings for name, f in each.model_fields.items()
    }
    assert len(defaults) == len({name for name, _ in defaults})


def test_the_russian_readme_has_the_commands_of_the_english_one() -> None:
    english, russian = (_code(page.read_text(encoding="utf-8")) for page in READMES)
    assert len(russian) == 4
    assert russian == english[: len(russian)]


def _code(page: str) -> list[str]:
    """Return the blocks of sh and yaml, without indentation, remarks and remarks' blanks."""
    blocks = re.findall(r"```(?:sh|yaml)\n(.*?)```", page, re.DOTALL)
    return [re.sub(r" *#.*", "", dedent(block)).strip() for block in blocks]


def test_every_command_is_documented_and_every_documented_one_exists() -> None:
    cells = re.findall(r"^\| (`/.*?) \|", _read("commands.md"), re.MULTILINE)
    assert {name for cell in cells for name in re.findall(r"`/(\w+)", cell)} == COMMANDS.keys()


@pytest.mark.parametrize(
    ("way", "most"),
    [
        ("a message", 25),
        ("an export", 25),
        ("a bot that is taught on the page", 14),
        ("a version", 14),
    ],
)
def test_the_ways_through_the_code_name_functions_that_exist(way: str, most: int) -> None:
    section = _read("architecture.md").split(f"## The way of {way}\n")[1].split("\n## ")[0]
    steps = re.findall(r"^\d+\. `(\S+\.py)` `([\w.]+)`", section, re.MULTILINE)
    assert steps
    assert len(steps) == len(re.findall(r"^\d+\. ", section, re.MULTILINE)) <= most
    for path, name in steps:
        body: list[ast.stmt] = ast.parse((ROOT / path).read_text(encoding="utf-8")).body
        for part in name.split("."):
            defined = {getattr(each, "name", ""): each for each in body}
            assert part in defined, f"{path} has no {name}"
            body = getattr(defined[part], "body", [])


def test_the_tests_that_shall_show_what_is_promised_exist() -> None:
    named = re.findall(r"`(tests/\S+\.py)::(\w+)`", _read("security.md"))
    assert named
    for path, name in named:
        assert f"def {name}(" in (ROOT / path).read_text(encoding="utf-8"), f"{path}::{name}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_files_links_and_modules_that_a_page_names_exist(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    files = re.findall(r"`((?:[a-z_]+/)+[\w.]+\.\w+)`", text)
    links = re.findall(r"\]\(([^)#:]+)(?:#[\w-]+)?\)", text)
    modules = re.findall(r"-m ((?:services|training_jobs|extraction_jobs|benchmarks)[\w.]*)", text)
    assert not [each for each in links if not (page.parent / each).exists()]
    assert not [
        each for each in files if not each.startswith("var/") and not (ROOT / each).exists()
    ]
    for each in modules:
        path = ROOT / each.replace(".", "/")
        assert path.with_suffix(".py").exists() or (path / "__main__.py").exists(), each


@pytest.mark.parametrize(
    "module",
    ["services.gateway", "services.generation", "services.sandbox", "services.sandbox.demo"],
)
def test_a_process_that_is_asked_for_help_helps_and_takes_no_argument(
    module: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for argument, code in (("--help", 0), ("--port=1", 2)):
        monkeypatch.setattr("sys.argv", [module, argument])
        for imported in (f"{module}.__main__", "services.sandbox.demo"):
            monkeypatch.delitem(sys.modules, imported, raising=False)
        with pytest.raises(SystemExit) as ended:
            runpy.run_module(module, run_name="__main__")
        assert ended.value.code == code
    out, err = capsys.readouterr()
    assert "--help" in out
    assert f"python -m {module}" in err
    assert "--port" in err


def test_bot_files_and_examples_of_them_are_valid(tmp_path: Path) -> None:
    texts = [path.read_text(encoding="utf-8") for path in ROOT.glob("k8s/bots/*/bot.yaml")]
    for page in PAGES:
        blocks = re.findall(
            r"^ *```yaml\n(.*?)```", page.read_text("utf-8"), re.DOTALL | re.MULTILINE
        )
        texts += [dedent(block) for block in blocks if dedent(block).startswith("name:")]
    assert len(texts) == 5
    for text in texts:
        (tmp_path / "bot.yaml").write_text(text, encoding="utf-8")
        file = BotFile.read(tmp_path)
        for section in file.sections:
            file.section(section, SECTIONS[section])


async def test_the_python_of_the_page_on_grpc_runs(
    toy: Toy, capsys: pytest.CaptureFixture[str]
) -> None:
    [example] = re.findall(r"```python\n(.*?)```", _read("grpc.md"), re.DOTALL)
    async with running(toy.bots_dir, toy.models_dir) as service:
        assert "127.0.0.1:50051" in example
        code = example.replace("127.0.0.1:50051", service.address)
        await asyncio.to_thread(exec, code, {})
    answers = [line for line in capsys.readouterr().out.splitlines() if "answered" not in line]
    assert len(answers) >= 2
