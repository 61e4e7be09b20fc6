"""An obscene word with a slip, or by ear, is found; an innocent one so near to it passes."""

import pytest

from moderation.misspelt import LONGEST, Misspelt
from moderation.moderator import Action, Moderator
from moderation.policy import Level, Policy

OBSCENE = Moderator(Policy(preset="off", profanity=Level.STRICT))
MISSPELT = (
    "пиздюуки пмздец пизедц пиздкц пизюец писдетс пызды пиздопол пезтабол роспиздяй "
    "хуйнч хцйня хунйя хуйлр охуенго охкенно охуенна ахуенна охуел охоел хуеылй хуесосв "
    "блчдь блядсуий бледский выблядак выблядик бблядский бляддина "
    "ебпный ебаынй еьанный ибаный уйобок уебрк долбаеп далбоеп долбаебф ибанат "
    "пидарок пидроасы пидорсы педарас гондрны гонтон мудаик мудакии мудазвон залуба шлюъа шлюхи"
)
INNOCENT = (
    "хлеб дуб мебель белая пезета худой лужа хутор художник хунта духи бидон пилот педант педаль "
    "бланк блеск бляшка платье ебонит убить забыть забавный ночевал надевал отбить сбить любить "
    "судак чудак мука сумка щука лука жаба желоб жёлоб лондон кондор мандолина команда дрожь дрозд "
    "поздно пистолет позднее певец приезд нибудь вейп доча шлюпка шлюз говор ровно гавань"
)


@pytest.mark.parametrize("word", MISSPELT.split())
def test_an_obscene_word_with_a_slip_or_by_ear_is_found(word: str) -> None:
    assert OBSCENE.check(f"вот {word} опять").text == ""


@pytest.mark.parametrize("word", INNOCENT.split())
def test_an_innocent_word_that_is_near_passes(word: str) -> None:
    assert OBSCENE.check(f"вот {word} опять").action is Action.NONE


@pytest.mark.parametrize("text", ["пезд..эц", "ох*енго"])
def test_a_hidden_word_may_be_misspelt(text: str) -> None:
    assert OBSCENE.check(f"вот {text} опять").action is Action.BLOCKED


def test_each_kind_of_slip_is_one() -> None:
    words = Misspelt([["слово"], ["дело", "ёж"]])
    near = {"слово": 0, "слава": 0, "слево": 0, "слоово": 0, "лово": 0, "солво": 0, "сл*во": 0}
    far = dict.fromkeys(("словарь", "олсво", "с**во", "дуло", "slovo", "во", "слово" * 5))
    assert {word: words.row(word) for word in near | far} == near | far


def test_a_very_long_word_is_not_looked_at() -> None:
    assert Misspelt([["а" * LONGEST * 2]]).row("а" * LONGEST * 2) is None
