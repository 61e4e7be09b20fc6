"""Does the bot answer this message? `decide` is one pure function of the message and what is known.

First come the rules of whom the bot serves, when it keeps silent, when it talks unasked and how
much; then `addressed`, which says whether a message is for the bot.
"""

import hashlib

from services.gateway.bot_config import GatewayConfig
from services.gateway.command_table import Trait, command_entry
from services.gateway.incoming import ButtonPress, Identity, Message, Update
from services.gateway.names import is_called
from services.gateway.reasons import BURST_GAP, SPEAKS, UNASKED, Reason, View

OLD_SECONDS = 1800.0
"""Age at which a message that was not for the bot is not worth an answer any more, nor an edit that
calls the bot. Long enough for a clock that is wrong by minutes."""
COMMANDS_AN_HOUR = 30
"""Commands of one person, other than the owner, that are answered."""
_BY_EDIT = frozenset({Reason.MENTION, Reason.TEXT_MENTION, Reason.NAME})


def decide(message: Message, me: Identity, view: View, config: GatewayConfig, now: float) -> Reason:
    """Return whether to answer, and why."""
    if (reason := _not_served(message, me, config)) is not None:
        return reason
    if not message.is_edit and is_command(message, me):
        return _decide_command(message, me, view, config)
    if view.opted_out:
        return Reason.OPTED_OUT
    decide_on = _decide_talk if message.has_words else _decide_wordless
    return _within_hourly_limit(decide_on(message, me, view, config, now), message, view, config)


def is_command(message: Message, me: Identity) -> bool:
    """Whether the message is a command, ours or another bot's, or what a bot answers to one.

    Words that begin with a slash and are no command of ours are talk in a private chat, and in a
    group where they name this bot.
    """
    command = (message.is_by_bot and message.replied_to.command) or message.command
    is_ours = command is not None and command.target.lower() == me.username.lower()
    is_talk = message.is_private or (is_ours and not message.is_by_bot)
    return (command is not None and not is_talk) or command_entry(message, me) is not None


def waits_for_no_talk(update: Update | None, me: Identity) -> bool:
    """Whether it needs no thought: a command of ours, a button, a move."""
    if not isinstance(update, Message):
        return isinstance(update, ButtonPress)
    return update.is_move or (not update.is_edit and command_entry(update, me) is not None)


def continues(
    later: Message, message: Message, reason: Reason, me: Identity, has_bursts: bool
) -> bool:
    """Whether a later message of the same sender is answered instead of one with that reason.

    In a burst it is whatever they say next and not to others. Past that it is what is for the bot
    as well: where it waits already nobody could be answered meanwhile, and one answer is enough.
    """
    is_line = later.has_words or (later.has_media and reason is Reason.WORDLESS)
    is_near = later.at <= message.at + BURST_GAP
    if later.is_edit or is_command(later, me) or not is_line or (is_near and not has_bursts):
        return False
    is_meant = is_near or reason is Reason.INSANITY or addressed(later, me) is not None
    return is_meant and not is_for_others(later, me)


def is_for_others(message: Message, me: Identity) -> bool:
    """Whether it is not the bot's though its sender is talking with the bot.

    That is what others said, an answer to somebody else, a mention of another bot, and what begins
    with somebody else's name.
    """
    if addressed(message, me) is not None:
        return False
    named = [(each.offset, each.user.is_bot, words.lower()) for each, words in message.mentions()]
    asks_another = any(at == 0 or is_bot or name.endswith("bot") for at, is_bot, name in named)
    return asks_another or message.is_borrowed or message.answered not in (0, message.sender)


def _not_served(message: Message, me: Identity, config: GatewayConfig) -> Reason | None:
    """Messages that the bot neither answers nor keeps, whatever they say."""
    if message.sender == me.id:
        return Reason.OWN
    if message.chat_type == "channel" or message.is_automatic_forward:
        return Reason.CHANNEL
    command = None if message.is_edit else command_entry(message, me)
    is_for_all = command is not None and Trait.UNSERVED in command.traits
    return None if is_for_all or config.serves(message.sender, message.chat) else Reason.NOT_SERVED


def _decide_command(message: Message, me: Identity, view: View, config: GatewayConfig) -> Reason:
    if message.is_by_bot:
        return Reason.BOTS_COMMAND
    if (command := command_entry(message, me)) is None:
        return Reason.FOREIGN_COMMAND
    if view.opted_out and Trait.OPTED_OUT not in command.traits:
        return Reason.OPTED_OUT
    has_limit = not (Trait.UNLIMITED in command.traits or message.sender in config.owner_ids)
    too_many = has_limit and view.commands_in_hour >= COMMANDS_AN_HOUR
    return Reason.LIMITED if too_many else Reason.COMMAND


def _decide_wordless(
    message: Message, me: Identity, view: View, config: GatewayConfig, now: float
) -> Reason:
    if message.is_edit:
        return Reason.EDITED
    called = message.is_private or message.answered == me.id
    if not (message.has_media and called and config.wordless) or message.is_by_bot:
        return Reason.NO_TEXT
    if now < view.settings.muted_until:
        return Reason.MUTED
    return Reason.ALBUM if view.album else Reason.WORDLESS


def _decide_talk(
    message: Message, me: Identity, view: View, config: GatewayConfig, now: float
) -> Reason:
    reason = addressed(message, me)
    if message.is_edit and not (reason in _BY_EDIT and _may_call_by_edit(message, view, now)):
        return Reason.EDITED
    if now < view.settings.muted_until:
        return Reason.MUTED
    if view.album:
        return Reason.ALBUM
    if reason is None:
        joined = None if is_for_others(message, me) else view.joined
        chance = 0 if joined else _percentile(message, me)
        unasked = _decide_unasked(message, chance, view, config, now)
        reason = Reason.BURST if joined == Reason.JOINED else unasked
    may = not message.is_by_bot or may_add(view.bots + 1, view.other_bots, config.bot_depth)
    return Reason.BOT_DEPTH if reason in SPEAKS and not may else reason


def _may_call_by_edit(message: Message, view: View, now: float) -> bool:
    """Whether an edit can have added a call: only where there was none when the message came.

    Telegram tells of reactions, previews and pins as edits too. What was answered is, what was
    passed over for another reason stays so, and what the history does not hold is not known. It
    holds EDITED while an edit waits for its answer.
    """
    age = (message.edited_at or now) - message.at
    is_new = view.before in (Reason.NOT_ADDRESSED, Reason.EDITED) and age <= OLD_SECONDS
    return is_new and not message.is_by_bot


def _decide_unasked(
    message: Message, chance: int, view: View, config: GatewayConfig, now: float
) -> Reason:
    """Whether to say something to what is not for the bot."""
    settings = view.settings
    if message.via_bot:
        return Reason.VIA_BOT
    if not settings.insane and chance >= settings.chattiness:
        return Reason.NOT_ADDRESSED
    if now - message.at > OLD_SECONDS:
        return Reason.STALE
    if settings.is_quiet(now, config.time_zone):
        return Reason.QUIET_HOURS
    if view.unasked_in_minute >= config.budget:
        return Reason.BUDGET
    return Reason.INSANITY if settings.insane else Reason.CHATTINESS


def _percentile(message: Message, me: Identity) -> int:
    """0 to 99 by each bot's own chance, but the same each time the message is decided."""
    key = f"{me.id}/{message.chat}/{message.message_id}".encode()
    return hashlib.sha256(key).digest()[0] * 100 // 256


def may_add(bots: int, others: int, depth: int) -> bool:
    """Whether one more message keeps a row of bots within the depth.

    `bots` messages stand in the row, written by `others` bots and ours. Each of those bots may be
    adding one at this moment, so room is left for each.
    """
    return bots + 1 + others <= depth


def _within_hourly_limit(
    reason: Reason, message: Message, view: View, config: GatewayConfig
) -> Reason:
    """The first message over the sender's limit is told so, later ones get nothing."""
    is_free = reason not in SPEAKS or message.sender in config.owner_ids
    if is_free or view.answers_in_hour < config.hourly_limit:
        return reason
    stays_silent = view.limit_told or reason in UNASKED or message.is_by_bot
    return Reason.LIMITED if stays_silent else Reason.LIMIT_TOLD


def addressed(message: Message, me: Identity) -> Reason | None:
    """Return why the message is for the bot, None when it is not.

    In words that are not the sender's own no name counts. A reply that begins with a mention asks
    whom it mentions.
    """
    if message.is_private:
        return Reason.PRIVATE
    mentions = [] if message.is_borrowed else message.mentions()
    if any(each.user.id == me.id for each, _ in mentions):
        return Reason.TEXT_MENTION
    if any(words.lower() == f"@{me.username}".lower() for _, words in mentions):
        return Reason.MENTION
    if message.answered == me.id and all(each.offset for each, _ in mentions):
        return Reason.REPLY
    calls = not message.is_borrowed and is_called(me.names, message.spoken, me.calls_at_edge)
    return Reason.NAME if calls else None
