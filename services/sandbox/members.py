"""What a user is in a chat, in Telegram's types. Pure."""

from collections.abc import Iterable
from datetime import UTC, datetime

from aiogram.types import ChatMemberBanned, ChatMemberMember, ChatMemberOwner, User

from services.sandbox.errors import bad_request
from services.sandbox.world import BotAccount, Room, World

_NEVER = datetime.fromtimestamp(0, UTC)
Member = ChatMemberOwner | ChatMemberMember | ChatMemberBanned


def standing(user: User, expelled: bool) -> ChatMemberMember | ChatMemberBanned:
    if expelled:
        return ChatMemberBanned(user=user, until_date=_NEVER)
    return ChatMemberMember(user=user)


def owner(world: World) -> ChatMemberOwner:
    """The group's creator, its only administrator."""
    return ChatMemberOwner(user=world.owner, is_anonymous=False)


def member(world: World, room: Room, user_id: int) -> Member:
    """A user as a member of the chat; all people and bots are in the group."""
    user = world.member(user_id)
    if not room.private and user == world.owner:
        return owner(world)
    if room.private and user.id != room.chat.id and user not in _users(room.bots):
        raise bad_request("user not found")
    return standing(user, user in _users(bot for bot in room.bots if bot.name in room.expelled))


def _users(bots: Iterable[BotAccount]) -> list[User]:
    return [bot.user for bot in bots]
