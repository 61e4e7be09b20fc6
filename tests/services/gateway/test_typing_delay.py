"""How long typing takes, and names that ping nobody."""

import pytest

from services.gateway.typing_delay import LONGEST_SECONDS, typing_delays, without_pings


def test_delays_follow_from_the_length() -> None:
    assert typing_delays(["а" * 10, "б" * 20], 10) == [1.0, 3.0]
    assert typing_delays(["а" * 1000], 10) == [LONGEST_SECONDS]
    assert typing_delays(["а", "б"], 0) == [0.0, 0.0]


@pytest.mark.parametrize("text", ["спроси @nina_k", "@nina_k!", "(@nina_k)", "ну.@nina_k"])
def test_a_name_looks_the_same_and_pings_nobody(text: str) -> None:
    assert "@nina_k" not in without_pings(text)
    assert without_pings(text).replace("\u2060", "") == text


@pytest.mark.parametrize("text", ["пишите на a@b.ru", "user@host", "ёж@лес", "собака @ сайт", "@"])
def test_an_at_sign_that_names_nobody_stays_as_it_is(text: str) -> None:
    assert without_pings(text) == text
