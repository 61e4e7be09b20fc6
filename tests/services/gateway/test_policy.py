"""Whether the bot answers what is, or is not, for it: the other half of the table."""

from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

import pytest

from services.gateway.config import GatewayConfig
from services.gateway.decision import ChatSettings, Reason, View
from services.gateway.incoming import read_message
from services.gateway.policy import UNASKED_SECONDS, decide, is_quiet, may_add
from tests.services.gateway import test_addressing
from tests.services.gateway.telegram import USERNAME, another_bot, entity, group, private
from tests.services.gateway.test_addressing import ME, NOW, SELF, answering

OWNER, NINA, CHAT = 1, 7, -100
NIGHT = (23 * 60, 8 * 60)  # NOW is 11:00 in Moscow
CALM, INSANE = View(), View(ChatSettings(insane=True))
STRICT = {"owner_ids": {OWNER}, "owner_only": True}
STICKER: dict[str, Any] = {"sticker": {
    "file_id": "1", "file_unique_id": "1", "type": "regular", "width": 1, "height": 1,
    "is_animated": False, "is_video": False, "emoji": "😂"}}  # fmt: skip
VOICE: dict[str, Any] = {"voice": {"file_id": "1", "file_unique_id": "1", "duration": 1}}
PHOTO: dict[str, Any] = {"photo": [{"file_id": "1", "file_unique_id": "1", "width": 1,
                                    "height": 1}], "media_group_id": "9"}  # fmt: skip
TALKS: dict[str, Any] = {"wordless": ["Слов не вижу."]}
MENTION = group(f"@{USERNAME} эй", entities=[entity("mention", f"@{USERNAME} эй", f"@{USERNAME}")])


@dataclass(frozen=True)
class Case:
    name: str
    message: dict[str, Any]
    view: View
    reason: Reason
    config: dict[str, Any] = field(default_factory=dict)
    now: float = NOW + 1
    edited: bool = False

    def decide(self) -> Reason:
        message = read_message(self.message, self.now, self.edited)
        return decide(message, ME, self.view, GatewayConfig(**self.config), self.now)


def chatty(percent: int, **more: Any) -> View:
    return View(ChatSettings(chattiness=percent), **more)


def quiet(insane: bool = True) -> View:
    return View(ChatSettings(insane=insane, quiet=(10 * 60, 12 * 60)))


def muted(until: float = NOW + 60) -> View:
    return View(ChatSettings(insane=True, muted_until=until))


def row(bots: int, others: int = 1, insane: bool = True) -> View:
    return View(ChatSettings(insane=insane), bots=bots, other_bots=others)


def by_bot(text: str = "о своём") -> dict[str, Any]:
    return group(text, sender=another_bot())


CASES = [
    # talking unasked
    Case("never chatty", group("поехали"), chatty(0), Reason.NOT_ADDRESSED),
    Case("always chatty", group("поехали"), chatty(100), Reason.CHATTINESS),
    Case("chatty, named", group("автобус"), chatty(100), Reason.NAME),
    Case("quiet hours", group("поехали"), quiet(), Reason.QUIET_HOURS),
    Case("quiet hours, chatty", group("ну"), View(ChatSettings(chattiness=100, quiet=(600, 720))),
         Reason.QUIET_HOURS),
    Case("quiet hours, called", group("автобус"), quiet(), Reason.NAME),
    Case("quiet hours elsewhere", group("поехали"), quiet(), Reason.INSANITY,
         {"time_zone": "Asia/Vladivostok"}),
    Case("quiet hours in private", private("эй"), quiet(), Reason.PRIVATE),
    Case("other hours are quiet", group("ну"), View(ChatSettings(insane=True, quiet=NIGHT)),
         Reason.INSANITY),
    Case("stale, insane", group("ау"), INSANE, Reason.STALE, now=NOW + UNASKED_SECONDS + 1),
    Case("stale, chatty", group("ау"), chatty(100), Reason.STALE, now=NOW + UNASKED_SECONDS + 1),
    Case("stale, called", group("автобус"), INSANE, Reason.NAME, now=NOW + UNASKED_SECONDS + 1),
    Case("stale, in private", private("ау"), CALM, Reason.PRIVATE, now=NOW + UNASKED_SECONDS + 1),
    Case("not stale yet", group("ау"), INSANE, Reason.INSANITY, now=NOW + UNASKED_SECONDS),
    Case("the budget is spent", group("ну"), replace(INSANE, unasked_in_minute=6), Reason.BUDGET),
    Case("the budget's last", group("ну"), replace(INSANE, unasked_in_minute=5), Reason.INSANITY),
    Case("the budget is spent, called", group("автобус"), replace(INSANE, unasked_in_minute=6),
         Reason.NAME),
    Case("no budget at all", group("ну"), INSANE, Reason.BUDGET, {"budget": 0}),
    # silence
    Case("muted, insane", group("поехали"), muted(), Reason.MUTED),
    Case("muted, called", group("автобус"), muted(), Reason.MUTED),
    Case("muted, in private", private("эй"), muted(), Reason.MUTED),
    Case("muted, command", group("/unmute"), muted(), Reason.COMMAND),
    Case("muted until just now", group("поехали"), muted(NOW), Reason.INSANITY),
    Case("muted, sticker in private", private(None, **STICKER), muted(), Reason.MUTED, TALKS),
    Case("opted out, in private", private("эй"), View(opted_out=True), Reason.OPTED_OUT),
    Case("opted out, called", group("автобус"), View(opted_out=True), Reason.OPTED_OUT),
    Case("opted out, command", group("/insanity"), View(opted_out=True), Reason.OPTED_OUT),
    Case("opted out, the way back", private("/optin"), View(opted_out=True), Reason.COMMAND),
    Case("opted out, deleting", private("/delete"), View(opted_out=True), Reason.COMMAND),
    Case("opted out, forgetting", private("/forgetme"), View(opted_out=True), Reason.COMMAND),
    # who is served
    Case("owner only: a stranger", private("эй"), CALM, Reason.NOT_SERVED, STRICT),
    Case("owner only: a stranger's command", private("/start"), CALM, Reason.NOT_SERVED, STRICT),
    Case("owner only: the owner", private("эй", OWNER), CALM, Reason.PRIVATE, STRICT),
    Case("a denied person", private("эй"), CALM, Reason.NOT_SERVED, {"deny_users": {NINA}}),
    Case("a denied person in a group", group("автобус"), INSANE, Reason.NOT_SERVED,
         {"deny_users": {NINA}}),
    Case("a denied chat", group("автобус"), INSANE, Reason.NOT_SERVED, {"deny_chats": {CHAT}}),
    Case("another chat is denied", group("автобус"), CALM, Reason.NAME, {"deny_chats": {-7}}),
    Case("chosen chats: this one", group("автобус"), CALM, Reason.NAME, {"allow_chats": {CHAT}}),
    Case("chosen chats: another", group("автобус"), CALM, Reason.NOT_SERVED,
         {"allow_chats": {-7}}),
    Case("chosen people: this one", private("эй"), CALM, Reason.PRIVATE, {"allow_users": {NINA}}),
    Case("chosen people: another", private("эй", 8), CALM, Reason.NOT_SERVED,
         {"allow_users": {NINA}}),
    Case("the owner in a denied chat", group("автобус", sender={"id": OWNER, "is_bot": False,
         "first_name": "О"}), CALM, Reason.NAME, {"deny_chats": {CHAT}, "owner_ids": {OWNER}}),
    Case("within the hour's share", private("эй"), View(answers_in_hour=59), Reason.PRIVATE),
    Case("the last command", private("/help"), View(commands_in_hour=29), Reason.COMMAND),
    Case("forgetting is never too much", private("/forgetme"), View(commands_in_hour=99),
         Reason.COMMAND),
    Case("nor is unmuting", private("/unmute"), View(commands_in_hour=99), Reason.COMMAND),
    Case("a command too many", private("/help"), View(commands_in_hour=30), Reason.LIMITED),
    Case("a command too many, the owner's", private("/help", user_id=OWNER),
         View(commands_in_hour=30), Reason.COMMAND, {"owner_ids": {OWNER}}),
    Case("the first too many", private("эй"), View(answers_in_hour=60), Reason.LIMIT_TOLD),
    Case("the second too many", private("эй"), View(answers_in_hour=60, limit_told=True),
         Reason.LIMITED),
    Case("too many, insane", group("ну"), replace(INSANE, answers_in_hour=60), Reason.LIMITED),
    Case("too many, not for the bot", group("ну"), View(answers_in_hour=99), Reason.NOT_ADDRESSED),
    Case("too many of a bot", answering(SELF, sender=another_bot()), View(answers_in_hour=60),
         Reason.LIMITED),
    Case("the owner has no share", private("эй", OWNER), View(answers_in_hour=999), Reason.PRIVATE,
         {"owner_ids": {OWNER}}),
    Case("a command is no talk", private("/help"), View(answers_in_hour=999), Reason.COMMAND),
    Case("not served, forgetting by an edit", private("/forgetme"), CALM, Reason.NOT_SERVED, STRICT,
         edited=True),
    Case("not served, forgetting", private("/forgetme"), CALM, Reason.COMMAND, STRICT),
    Case("not served, silencing", private("/optout"), CALM, Reason.COMMAND, STRICT),
    # bots among themselves
    Case("a bot's first", by_bot(), row(0), Reason.INSANITY),
    Case("a bot's third", by_bot(), row(2), Reason.INSANITY),
    Case("a bot's fourth", by_bot(), row(3), Reason.BOT_DEPTH),
    Case("two bots' second", by_bot(), row(1, others=2), Reason.INSANITY),
    Case("two bots' third", by_bot(), row(2, others=2), Reason.BOT_DEPTH),
    Case("a bot calls, deep", by_bot("автобус!"), row(3, insane=False), Reason.BOT_DEPTH),
    Case("a bot answers, deep", answering(SELF, sender=another_bot()), row(9), Reason.BOT_DEPTH),
    Case("a bot repeats itself", by_bot(), replace(row(0), repeated=True), Reason.BOT_REPEAT),
    Case("a bot unaddressed", by_bot(), row(0, insane=False), Reason.NOT_ADDRESSED),
    Case("no bot is answered", by_bot(), row(0), Reason.BOT_DEPTH, {"bot_depth": 0}),
    Case("a person after many bots", group("хватит"), row(9), Reason.INSANITY),
    # bursts, albums, wordless
    Case("goes on", group("и ещё"), View(joined=True), Reason.BURST),
    Case("goes on, called", group("автобус"), View(joined=True), Reason.NAME),
    Case("goes on, muted", group("и ещё"), replace(muted(), joined=True), Reason.MUTED),
    Case("the album's first", group(None, caption="автобус", **PHOTO), CALM, Reason.NAME),
    Case("the album's second", group(None, caption="автобус", **PHOTO), View(album=True),
         Reason.ALBUM),
    Case("an album in private", private(None, **PHOTO), CALM, Reason.WORDLESS, TALKS),
    Case("the rest of it", private(None, **PHOTO), View(album=True), Reason.ALBUM, TALKS),
    Case("a sticker, silent", private(None, **STICKER), CALM, Reason.NO_TEXT),
    Case("a sticker", private(None, **STICKER), CALM, Reason.WORDLESS, TALKS),
    Case("a voice", private(None, **VOICE), CALM, Reason.WORDLESS, TALKS),
    Case("a voice in answer", {**group(None, **VOICE), "reply_to_message":
         answering(SELF)["reply_to_message"]}, CALM, Reason.WORDLESS, TALKS),
    Case("a sticker in a group", group(None, **STICKER), INSANE, Reason.NO_TEXT, TALKS),
    Case("a sticker of a bot", {**private(None, **STICKER), "from": another_bot()}, CALM,
         Reason.NO_TEXT, TALKS),
    # edits
    Case("a mention by an edit", MENTION, View(before="not_addressed"), Reason.MENTION,
         edited=True),
    Case("a name by an edit", group("автобус"), View(before="not_addressed"), Reason.NAME,
         edited=True),
    Case("a mention that was there", MENTION, View(before="mention"), Reason.EDITED, edited=True),
    Case("a name by an edit of an answered one", group("автобус"), View(before="insanity"),
         Reason.EDITED, edited=True),
    Case("words taken away by an edit", private(None, **STICKER), CALM, Reason.EDITED, TALKS,
         edited=True),
    Case("another word by an edit", group("поехали"), INSANE, Reason.EDITED, edited=True),
    Case("an edit in private", private("эй"), View(before="private"), Reason.EDITED, edited=True),
    Case("an edited answer to the bot", answering(SELF), CALM, Reason.EDITED, edited=True),
    Case("an edit into a command", group("/insanity"), CALM, Reason.EDITED, edited=True),
    Case("a bot's edit", by_bot("автобус"), CALM, Reason.EDITED, edited=True),
    Case("a mention by an edit, muted", MENTION, muted(), Reason.MUTED, edited=True),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_whether_the_bot_answers(case: Case) -> None:
    assert case.decide() is case.reason


def test_both_halves_of_the_table_are_long_and_know_every_reason() -> None:
    assert len(CASES) + len(test_addressing.TABLE) >= 150
    seen = {case.reason for case in CASES} | {reason for *_, reason in test_addressing.TABLE}
    assert seen == set(Reason) - {Reason.JOINED}  # what a message becomes while it is answered


def test_chattiness_is_a_share_of_messages() -> None:
    reasons = [Case("", group("ну"), chatty(15), Reason.CHATTINESS).decide() for _ in range(2000)]
    assert 0.12 < reasons.count(Reason.CHATTINESS) / 2000 < 0.18


def test_a_message_is_drawn_the_same_each_time() -> None:
    message = group("ну")
    decisions = {Case("", message, chatty(50), Reason.CHATTINESS).decide() for _ in range(20)}
    assert len(decisions) == 1


@pytest.mark.parametrize(
    ("hours", "hour", "expected"),
    [
        (NIGHT, 22, False), (NIGHT, 23, True), (NIGHT, 0, True), (NIGHT, 7, True),
        (NIGHT, 8, False), ((60, 120), 1, True), ((60, 120), 2, False), ((60, 120), 0, False),
    ],
)  # fmt: skip
def test_quiet_hours_may_go_over_midnight(
    hours: tuple[int, int], hour: int, expected: bool
) -> None:
    assert is_quiet(hours, datetime(2026, 11, 26, hour)) is expected


@pytest.mark.parametrize("depth", range(12))
@pytest.mark.parametrize("bots", [2, 3, 4])
def test_bots_that_write_at_the_same_moment_do_not_exceed_the_depth(depth: int, bots: int) -> None:
    in_a_row = 1
    while may_add(in_a_row, bots - 1, depth):
        in_a_row += bots  # all of them saw the same, and add theirs
    assert in_a_row <= max(depth, 1)
