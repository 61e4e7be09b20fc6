"""Does the bot answer this message? One pure function of the message and what is known of it.

`addressing` says whether a message is for the bot; here stand the rules of who is served, of
silence, of talking unasked, and of how much.
"""

import hashlib
from datetime import datetime

from aiogram.types import Message

from services.gateway.addressing import (
    Command,
    Identity,
    addressed,
    command_in,
    from_bot,
    is_wordless,
    replies_to,
    sender_of,
    text_of,
)
from services.gateway.command_list import COMMANDS
from services.gateway.config import GatewayConfig
from services.gateway.decision import SPEAKS, UNASKED, Decision, Reason, View

STALE = 600.0
"""Seconds after which a message that was not for the bot is not worth an answer any more."""
COMMANDS_AN_HOUR = 30
"""Commands of a person's, but for the owner, that are answered."""
UNLIMITED = frozenset({"forgetme", "mute", "unmute", "optout"})
"""What holds the bot in check, and forgetting, which is promised: never dropped."""
_WHEN_OPTED_OUT = frozenset(
    {"status", "optin", "optout", "privacy", "forgetme", "delete", "report"}
)
FOR_ALL = frozenset({"forgetme", "privacy", "optout"})
"""Commands for people who are not served as well."""
_BY_EDIT = frozenset({Reason.MENTION, Reason.TEXT_MENTION, Reason.NAME})


def decide(
    message: Message, me: Identity, view: View, config: GatewayConfig, now: float,
    edited: bool = False,
) -> Decision:  # fmt: skip
    """Whether to answer, and why. `edited`: it was there before, and has changed."""
    if (reason := _nobodys(message, me, config, edited)) is not None:
        return Decision(reason)
    if not edited and (command := command_in(message)) is not None:
        told = _commanded(command, message, me, view, config.owner_ids)
        if told is not None:
            return told
    if view.opted_out:
        return Decision(Reason.OPTED_OUT)
    if not text_of(message).strip():
        reason = Reason.EDITED if edited else _without_words(message, me, view, config, now)
    else:
        reason = _talk(message, me, view, config, now, edited)
    return Decision(_limited(reason, message, view, config))


def _nobodys(message: Message, me: Identity, config: GatewayConfig, edited: bool) -> Reason | None:
    """Messages that the bot neither answers nor keeps, whatever they say."""
    sender = sender_of(message)
    if sender == me.id:
        return Reason.OWN
    if message.chat.type == "channel" or message.is_automatic_forward:
        return Reason.CHANNEL
    command = command_in(message)
    if command and command.name in FOR_ALL and not command.for_another(me) and not edited:
        return None
    return None if config.serves(sender, message.chat.id) else Reason.NOT_SERVED


def _commanded(
    command: Command, message: Message, me: Identity, view: View, owners: frozenset[int]
) -> Decision | None:
    """None where it is no command of anybody's: a word with a slash, in private."""
    if from_bot(message):
        return Decision(Reason.BOTS_COMMAND)
    if command.for_another(me):
        return Decision(Reason.FOREIGN_COMMAND)
    if command.name in COMMANDS:
        if view.opted_out and command.name not in _WHEN_OPTED_OUT:
            return Decision(Reason.OPTED_OUT)
        free = command.name in UNLIMITED or sender_of(message) in owners
        if view.commands_in_hour >= COMMANDS_AN_HOUR and not free:
            return Decision(Reason.LIMITED)
        return Decision(Reason.COMMAND, command.name, command.arguments)
    return None if message.chat.type == "private" else Decision(Reason.FOREIGN_COMMAND)


def _without_words(
    message: Message, me: Identity, view: View, config: GatewayConfig, now: float
) -> Reason:
    called = message.chat.type == "private" or replies_to(message, me)
    if not (is_wordless(message) and called and config.wordless) or from_bot(message):
        return Reason.NO_TEXT
    if now < view.settings.muted_until:
        return Reason.MUTED
    return Reason.ALBUM if view.album else Reason.WORDLESS


def _talk(
    message: Message, me: Identity, view: View, config: GatewayConfig, now: float, edited: bool
) -> Reason:
    reason = addressed(message, me)
    if edited and (reason not in _BY_EDIT or from_bot(message) or view.before in SPEAKS):
        return Reason.EDITED
    if now < view.settings.muted_until:
        return Reason.MUTED
    if view.album:
        return Reason.ALBUM
    if reason is None:
        reason = Reason.BURST if view.joined else _unasked(message, view, config, now)
    if reason in SPEAKS and from_bot(message):
        return _to_bot(reason, view, config)
    return reason


def _unasked(message: Message, view: View, config: GatewayConfig, now: float) -> Reason:
    """Whether to say something to what is not for the bot."""
    settings = view.settings
    if message.via_bot is not None:
        return Reason.VIA_BOT
    if not settings.insane and _drawn(message) >= settings.chattiness:
        return Reason.NOT_ADDRESSED
    if now - message.date.timestamp() > STALE:
        return Reason.STALE
    if settings.quiet and is_quiet(settings.quiet, datetime.fromtimestamp(now, config.zone)):
        return Reason.QUIET_HOURS
    if view.unasked_in_minute >= config.budget:
        return Reason.BUDGET
    return Reason.INSANITY if settings.insane else Reason.CHATTINESS


def _drawn(message: Message) -> int:
    """0 to 99, the same each time the message is decided."""
    key = f"{message.chat.id}/{message.message_id}".encode()
    return hashlib.sha256(key).digest()[0] * 100 // 256


def is_quiet(hours: tuple[int, int], local: datetime) -> bool:
    """Whether the time lies within the minutes of the day, which may go over midnight."""
    minute, (begin, end) = local.hour * 60 + local.minute, hours
    return begin <= minute < end if begin < end else minute >= begin or minute < end


def _to_bot(reason: Reason, view: View, config: GatewayConfig) -> Reason:
    if view.repeated:
        return Reason.BOT_REPEAT
    return reason if may_add(view.bots + 1, view.other_bots, config.bot_depth) else Reason.BOT_DEPTH


def may_add(bots: int, others: int, depth: int) -> bool:
    """Whether one more message keeps the row of bots within the depth.

    `bots` stand in the row now, of which `others` are not ours: each of those may be adding one
    of its own at this moment, so a place is left for each.
    """
    return bots + 1 + others <= depth


def _limited(reason: Reason, message: Message, view: View, config: GatewayConfig) -> Reason:
    """The sender's share of the hour; the first message too many is told so."""
    if reason not in SPEAKS or sender_of(message) in config.owner_ids:
        return reason
    if view.answers_in_hour < config.hourly_limit:
        return reason
    quiet = view.limit_told or reason in UNASKED or from_bot(message)
    return Reason.LIMITED if quiet else Reason.LIMIT_TOLD
