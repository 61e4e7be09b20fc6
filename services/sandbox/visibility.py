"""Who sees a message in a chat. Pure.

Sources differ on whether privacy mode lets plain mentions through; here it does, as BotFather says.
"""

from aiogram.types import Message

from services.sandbox.content import service, words
from services.sandbox.rooms import BotAccount, Room


def viewers(room: Room, message: Message) -> list[BotAccount]:
    """Bots that get the message as an update; bots hear bots, none hears itself."""
    return [
        bot
        for bot in room.bots
        if bot.name not in room.expelled
        and bot.user != message.from_user
        and (room.private or not bot.privacy or addressed(bot, message))
    ]


def addressed(bot: BotAccount, message: Message) -> bool:
    """What a bot with privacy mode on still gets: service messages, answers, mentions, commands."""
    if service(message):
        return True
    answered = message.reply_to_message
    if answered and answered.from_user == bot.user:
        return True
    for entity in message.entities or message.caption_entities or []:
        said = entity.extract_from(words(message)).lower()
        if entity.type == "mention" and said == bot.mention.lower():
            return True
        if entity.type == "bot_command" and said.partition("@")[2] in (
            "",
            bot.mention.lower()[1:],
        ):
            return True
    return False
