"""How fast Telegram lets a bot write."""

import pytest

from services.gateway.telegram_rate_limit import RateLimit


def test_a_group_takes_twenty_a_minute() -> None:
    limit = RateLimit()
    for second in range(20):
        assert limit.next_slot(-1, float(second)) == second
        limit.take_slot(-1, float(second))
    assert limit.next_slot(-1, 20.0) == 60.0
    assert limit.next_slot(-2, 20.0) == limit.next_slot(1, 20.0) == 20.0


def test_a_messages_second_begins_when_telegram_has_answered() -> None:
    limit = RateLimit()
    limit.take_slot(1, 10.0)
    limit.take_slot(2, 10.2)
    limit.move_slot(1, 10.9)  # it may have been counted as late as that
    assert limit.next_slot(1, 11.0) == 11.9
    assert limit.next_slot(2, 11.0) == 11.2


def test_only_as_many_chats_are_remembered_as_matter() -> None:
    limit = RateLimit()
    for chat in range(3000):
        limit.take_slot(chat, float(chat))
    assert len(limit._chats) <= 1001


@pytest.mark.parametrize("scale", [0.0, 0.1])
def test_limits_scale(scale: float) -> None:
    limit = RateLimit(scale)
    limit.take_slot(1, 10.0)
    assert limit.next_slot(1, 10.0) == 10.0 + scale
