"""Names in all their case forms."""

import pytest

from services.gateway.name_forms import name_forms
from services.gateway.names import is_called


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("автобус", "автобуса автобусу автобусом автобусе"),
        ("Полксон", "Полксона полксону полксоном полксоне"),
        ("Вася", "Васи Васе Васю Васей Вась"),
        ("Пётр", "петра Петру петром петре Пётр"),
        ("городничий", "городничего городничему городничим городничем"),
        ("Хлестаков", "Хлестакова Хлестакову Хлестаковым Хлестакове"),
        ("Люся", "Люси Люсе Люсю Люсей Люсь"),
    ],
)
def test_a_name_is_known_in_every_case(name: str, said: str) -> None:
    known = name_forms([name])
    assert [form for form in said.split() if not is_called(known, f"эй, {form}, привет")] == []


@pytest.mark.parametrize(
    "text",
    ["автобусный билет", "микроавтобус", "полксоновский", "автобусы опять опаздывают", "васильки"],
)
def test_a_name_is_not_heard_inside_other_words(text: str) -> None:
    assert not is_called(name_forms(["автобус", "Полксон", "Вася"]), text)


def test_the_words_of_a_name_are_in_one_case() -> None:
    known = name_forms(["Пётр Ильич"])
    assert is_called(known, "дай Петру Ильичу слово")
    assert not is_called(known, "дай Петру слово")
    assert not is_called(known, "Пётр Ильичом")


@pytest.mark.parametrize("name", ["Avtobus", "bus", "№1", "МЯУ-МЯУ"])
def test_a_name_that_cannot_be_declined_is_known_as_it_is(name: str) -> None:
    assert is_called(name_forms([name]), f"эй, {name}!")


def test_a_bot_without_names_is_is_called_none() -> None:
    assert not is_called(name_forms([]), "автобус")
