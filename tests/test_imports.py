"""The import rules of pyproject.toml hold."""

from importlinter.cli import lint_imports


def test_rooms_import_only_what_they_may() -> None:
    assert lint_imports(no_cache=True) == 0
