"""Whether the bot answers what is, or is not, for it: the other half of the table."""

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import pytest

from services.gateway.bot_config import GatewayConfig
from services.gateway.decision import OLD_SECONDS, decide, may_add
from services.gateway.incoming import read_message
from services.gateway.reasons import ChatSettings, Minutes, Reason, View
from tests.services.gateway.telegram import ALBUM, SELF, another_bot, group, person, private
from tests.services.gateway.test_addressed import CALM, INSANE, ME, NOW, TABLE, answering, tagged

OWNER, NINA, CHAT = 1, 7, -100
NIGHT, NOON = (23 * 60, 8 * 60), (10 * 60, 12 * 60)  # NOW is 11:00 in Moscow
QUIET = View(ChatSettings(insane=True, quiet=NOON))
SPENT = replace(INSANE, unasked_in_minute=6)
FULL, SEEN, UNANSWERED = View(answers_in_hour=60), View(album=True), View(before="not_addressed")
UNASKED = "joined_unasked"
STRICT = {"owner_ids": {OWNER}, "owner_only": True}
STICKER: dict[str, Any] = {"sticker": {"file_id": "1", "emoji": "😂"}}
VOICE: dict[str, Any] = {"voice": {"file_id": "1", "duration": 1}}
TALKS: dict[str, Any] = {"wordless": ["Слов не вижу."]}
MENTION = tagged("mention", "@avtobus_bot эй", "@avtobus_bot")


@dataclass(frozen=True)
class Case:
    name: str
    message: dict[str, Any]
    reason: Reason
    view: View = CALM
    config: dict[str, Any] = field(default_factory=dict)
    now: float = NOW + 1
    edited: bool = False

    def decide(self) -> Reason:
        message = read_message(self.message, self.now, self.edited)
        return decide(message, ME, self.view, GatewayConfig(**self.config), self.now)


def chatty(percent: int, **more: Any) -> View:
    return View(ChatSettings(chattiness=percent, **more))


def muted(until: float = NOW + 60) -> View:
    return View(ChatSettings(insane=True, muted_until=until))


def row(bots: int, others: int = 1, insane: bool = True) -> View:
    return View(ChatSettings(insane=insane), bots=bots, other_bots=others)


def by_bot(text: str = "о своём") -> dict[str, Any]:
    return group(text, sender=another_bot())


CASES = [
    # talking unasked
    Case("never chatty", group("поехали"), Reason.NOT_ADDRESSED, chatty(0)),
    Case("always chatty", group("поехали"), Reason.CHATTINESS, chatty(100)),
    Case("chatty, named", group("автобус"), Reason.NAME, chatty(100)),
    Case("quiet hours", group("поехали"), Reason.QUIET_HOURS, QUIET),
    Case("quiet hours, chatty", group("ну"), Reason.QUIET_HOURS, chatty(100, quiet=NOON)),
    Case("quiet hours, called", group("автобус"), Reason.NAME, QUIET),
    Case("quiet elsewhere", group("ну"), Reason.INSANITY, QUIET, {"time_zone": "Asia/Vladivostok"}),
    Case("quiet hours in private", private("эй"), Reason.PRIVATE, QUIET),
    Case("other hours are quiet", group("ну"), Reason.CHATTINESS, chatty(100, quiet=NIGHT)),
    Case("stale, insane", group("ау"), Reason.STALE, INSANE, now=NOW + OLD_SECONDS + 1),
    Case("stale, chatty", group("ау"), Reason.STALE, chatty(100), now=NOW + OLD_SECONDS + 1),
    Case("stale, called", group("автобус"), Reason.NAME, INSANE, now=NOW + OLD_SECONDS + 1),
    Case("stale, in private", private("ау"), Reason.PRIVATE, now=NOW + OLD_SECONDS + 1),
    Case("not stale yet", group("ау"), Reason.INSANITY, INSANE, now=NOW + OLD_SECONDS),
    Case("the budget is spent", group("ну"), Reason.BUDGET, SPENT),
    Case("the budget's last", group("ну"), Reason.INSANITY, replace(INSANE, unasked_in_minute=5)),
    Case("the budget is spent, called", group("автобус"), Reason.NAME, SPENT),
    Case("no budget at all", group("ну"), Reason.BUDGET, INSANE, {"budget": 0}),
    # silence
    Case("muted, insane", group("поехали"), Reason.MUTED, muted()),
    Case("muted, called", group("автобус"), Reason.MUTED, muted()),
    Case("muted, in private", private("эй"), Reason.MUTED, muted()),
    Case("muted, command", group("/unmute"), Reason.COMMAND, muted()),
    Case("muted until just now", group("поехали"), Reason.INSANITY, muted(NOW)),
    Case("muted, sticker in private", private(None, **STICKER), Reason.MUTED, muted(), TALKS),
    Case("opted out, in private", private("эй"), Reason.OPTED_OUT, View(opted_out=True)),
    Case("opted out, called", group("автобус"), Reason.OPTED_OUT, View(opted_out=True)),
    Case("opted out, command", group("/insanity"), Reason.OPTED_OUT, View(opted_out=True)),
    Case("opted out, the way back", private("/optin"), Reason.COMMAND, View(opted_out=True)),
    Case("opted out, deleting", private("/delete"), Reason.COMMAND, View(opted_out=True)),
    Case("opted out, forgetting", private("/forgetme"), Reason.COMMAND, View(opted_out=True)),
    # who is served
    Case("owner only: a stranger", private("эй"), Reason.NOT_SERVED, config=STRICT),
    Case("owner only: a stranger's command", private("/start"), Reason.NOT_SERVED, config=STRICT),
    Case("owner only: the owner", private("эй", OWNER), Reason.PRIVATE, config=STRICT),
    Case("a denied person", private("эй"), Reason.NOT_SERVED, config={"deny_users": {NINA}}),
    Case("denied in a group", group("ну"), Reason.NOT_SERVED, INSANE, {"deny_users": {NINA}}),
    Case("a denied chat", group("автобус"), Reason.NOT_SERVED, INSANE, {"deny_chats": {CHAT}}),
    Case("another chat is denied", group("автобус"), Reason.NAME, config={"deny_chats": {-7}}),
    Case("chosen chats: this one", group("автобус"), Reason.NAME, config={"allow_chats": {CHAT}}),
    Case("chosen chats: another", group("ну"), Reason.NOT_SERVED, config={"allow_chats": {-7}}),
    Case("chosen people", private("эй"), Reason.PRIVATE, config={"allow_users": {NINA}}),
    Case("other people", private("эй", 8), Reason.NOT_SERVED, config={"allow_users": {NINA}}),
    Case("the owner in a denied chat", group("автобус", sender=person(OWNER)), Reason.NAME,
         config={"deny_chats": {CHAT}, "owner_ids": {OWNER}}),
    Case("within the hour's share", private("эй"), Reason.PRIVATE, View(answers_in_hour=59)),
    Case("the last command", private("/help"), Reason.COMMAND, View(commands_in_hour=29)),
    Case("forgetting, often", private("/forgetme"), Reason.COMMAND, View(commands_in_hour=99)),
    Case("unmuting, often", private("/unmute"), Reason.COMMAND, View(commands_in_hour=99)),
    Case("a command too many", private("/help"), Reason.LIMITED, View(commands_in_hour=30)),
    Case("a command too many, the owner's", private("/help", user_id=OWNER), Reason.COMMAND,
         View(commands_in_hour=30), {"owner_ids": {OWNER}}),
    Case("the first too many", private("эй"), Reason.LIMIT_TOLD, FULL),
    Case("the second too many", private("эй"), Reason.LIMITED, replace(FULL, limit_told=True)),
    Case("too many, insane", group("ну"), Reason.LIMITED, replace(INSANE, answers_in_hour=60)),
    Case("too many, not for the bot", group("ну"), Reason.NOT_ADDRESSED, View(answers_in_hour=99)),
    Case("too many of a bot", answering(SELF, sender=another_bot()), Reason.LIMITED, FULL),
    Case("the owner has no share", private("эй", OWNER), Reason.PRIVATE, View(answers_in_hour=999),
         {"owner_ids": {OWNER}}),
    Case("a command is no talk", private("/help"), Reason.COMMAND, View(answers_in_hour=999)),
    Case("not served, forgetting by an edit", private("/forgetme"), Reason.NOT_SERVED,
         config=STRICT, edited=True),
    Case("not served, forgetting", private("/forgetme"), Reason.COMMAND, config=STRICT),
    Case("not served, silencing", private("/optout"), Reason.COMMAND, config=STRICT),
    # bots among themselves
    Case("a bot's first", by_bot(), Reason.INSANITY, row(0)),
    Case("a bot's third", by_bot(), Reason.INSANITY, row(2)),
    Case("a bot's fourth", by_bot(), Reason.BOT_DEPTH, row(3)),
    Case("two bots' second", by_bot(), Reason.INSANITY, row(1, others=2)),
    Case("two bots' third", by_bot(), Reason.BOT_DEPTH, row(2, others=2)),
    Case("a bot calls, deep", by_bot("автобус!"), Reason.BOT_DEPTH, row(3, insane=False)),
    Case("a bot answers, deep", answering(SELF, sender=another_bot()), Reason.BOT_DEPTH, row(9)),
    Case("a bot unaddressed", by_bot(), Reason.NOT_ADDRESSED, row(0, insane=False)),
    Case("no bot is answered", by_bot(), Reason.BOT_DEPTH, row(0), {"bot_depth": 0}),
    Case("a person after many bots", group("хватит"), Reason.INSANITY, row(9)),
    # bursts, albums, wordless
    Case("goes on", group("и ещё"), Reason.BURST, View(joined="joined")),
    Case("goes on, called", group("автобус"), Reason.NAME, View(joined="joined")),
    Case("goes on, muted", group("и ещё"), Reason.MUTED, replace(muted(), joined="joined")),
    Case("goes on, too many", group("и ещё"), Reason.LIMIT_TOLD, replace(FULL, joined="joined")),
    *(Case(f"goes on unasked, {name}", group("и ещё"), reason, replace(view, joined=UNASKED))
      for name, view, reason in [
        ("chosen", chatty(1), Reason.CHATTINESS), ("all the same", INSANE, Reason.INSANITY),
        ("ended", chatty(0), Reason.NOT_ADDRESSED), ("in quiet hours", QUIET, Reason.QUIET_HOURS),
        ("too much", replace(chatty(1), unasked_in_minute=99), Reason.BUDGET),
        ("too many", replace(chatty(1), answers_in_hour=99), Reason.LIMITED)]),
    Case("the album's first", group(None, caption="автобус", **ALBUM), Reason.NAME),
    Case("the album's second", group(None, caption="автобус", **ALBUM), Reason.ALBUM, SEEN),
    Case("an album in private", private(None, **ALBUM), Reason.WORDLESS, config=TALKS),
    Case("the rest of it", private(None, **ALBUM), Reason.ALBUM, SEEN, TALKS),
    Case("a sticker, silent", private(None, **STICKER), Reason.NO_TEXT, config={"wordless": []}),
    Case("a sticker", private(None, **STICKER), Reason.WORDLESS, config=TALKS),
    Case("a voice", private(None, **VOICE), Reason.WORDLESS, config=TALKS),
    Case("a voice in answer", {**answering(SELF), "text": "", **VOICE}, Reason.WORDLESS,
         config=TALKS),
    Case("a sticker in a group", group(None, **STICKER), Reason.NO_TEXT, INSANE, TALKS),
    Case("a bot's sticker", {**private(None), **STICKER, "from": another_bot()}, Reason.NO_TEXT,
         config=TALKS),
    # edits
    Case("a mention by an edit", MENTION, Reason.MENTION, UNANSWERED, edited=True),
    Case("a name by an edit", group("автобус"), Reason.NAME, UNANSWERED, edited=True),
    Case("a mention that was there", MENTION, Reason.EDITED, View(before="mention"), edited=True),
    Case("a name, answered before", group("автобус"), Reason.EDITED, View(before="insanity"),
         edited=True),
    Case("words taken away by an edit", private(None, **STICKER), Reason.EDITED, config=TALKS,
         edited=True),
    Case("another word by an edit", group("поехали"), Reason.EDITED, INSANE, edited=True),
    Case("an edit in private", private("эй"), Reason.EDITED, View(before="private"), edited=True),
    Case("an edited answer to the bot", answering(SELF), Reason.EDITED, edited=True),
    Case("an edit into a command", group("/insanity"), Reason.EDITED, edited=True),
    Case("a bot's edit", by_bot("автобус"), Reason.EDITED, edited=True),
    Case("a mention by an edit, muted", MENTION, Reason.MUTED,
         replace(muted(), before="not_addressed"), edited=True),
    Case("a mention by an edit, never stored", MENTION, Reason.EDITED, edited=True),
    *(Case(f"a mention by an edit, {each}", MENTION, Reason.EDITED, View(before=each), edited=True)
      for each in Reason if each not in (Reason.NOT_ADDRESSED, Reason.EDITED)),
    Case("a mention by an edit, tried again", MENTION, Reason.MENTION, View(before="edited"),
         edited=True),
    Case("a mention by a late edit", MENTION | {"edit_date": NOW + OLD_SECONDS + 1}, Reason.EDITED,
         UNANSWERED, edited=True),
    Case("a mention by an edit, heard of late", MENTION | {"edit_date": NOW + 60}, Reason.MENTION,
         UNANSWERED, now=NOW + OLD_SECONDS + 1, edited=True),
    Case("an edit whose time is not told", MENTION, Reason.EDITED, UNANSWERED,
         now=NOW + OLD_SECONDS + 1, edited=True),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_whether_the_bot_answers(case: Case) -> None:
    assert case.decide() is case.reason


def test_both_halves_of_the_table_are_long_and_know_every_reason() -> None:
    assert len(CASES) + len(TABLE) >= 150
    seen = {case.reason for case in CASES} | {reason for _, _, reason, _ in TABLE}
    # what a message is while it is answered
    becomes = {Reason.JOINED, Reason.JOINED_UNASKED, Reason.SILENCED}
    assert seen == set(Reason) - becomes


def test_chattiness_is_a_share_of_messages() -> None:
    reasons = [Case("", group("ну"), Reason.CHATTINESS, chatty(15)).decide() for _ in range(2000)]
    assert 0.12 < reasons.count(Reason.CHATTINESS) / 2000 < 0.18


def test_two_bots_do_not_choose_the_same_messages() -> None:
    messages = [read_message(group("ну"), NOW) for _ in range(2000)]
    chosen = [
        {
            message.message_id
            for message in messages
            if decide(message, me, chatty(15), GatewayConfig(), NOW) is Reason.CHATTINESS
        }
        for me in (ME, replace(ME, id=ME.id + 1))
    ]
    assert len(chosen[0] & chosen[1]) < 0.04 * len(messages)  # 0.15² of them by chance


def test_a_message_is_drawn_the_same_each_time() -> None:
    message = group("ну")
    decisions = {Case("", message, Reason.CHATTINESS, chatty(50)).decide() for _ in range(20)}
    assert len(decisions) == 1


@pytest.mark.parametrize(
    ("hours", "hour", "expected"),
    [
        (NIGHT, 22, False), (NIGHT, 23, True), (NIGHT, 0, True), (NIGHT, 7, True),
        (NIGHT, 8, False), ((60, 120), 1, True), ((60, 120), 2, False), ((60, 120), 0, False),
        ((1200, 1440), 23, True), ((1200, 1440), 0, False), ((0, 1440), 12, True),
    ],
)  # fmt: skip
def test_quiet_hours_over_midnight(hours: Minutes, hour: int, expected: bool) -> None:
    at = datetime(2026, 11, 26, hour, tzinfo=UTC).timestamp()
    assert ChatSettings(quiet=hours).is_quiet(at, UTC) is expected


@pytest.mark.parametrize("depth", range(12))
@pytest.mark.parametrize("bots", [2, 3, 4])
def test_bots_that_write_at_the_same_moment_do_not_exceed_the_depth(depth: int, bots: int) -> None:
    in_a_row = 1
    while may_add(in_a_row, bots - 1, depth):
        in_a_row += bots  # all of them saw the same, and add theirs
    assert in_a_row <= max(depth, 1)
