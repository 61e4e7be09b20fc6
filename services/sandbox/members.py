"""What a user is in a chat, in Telegram's types. Pure."""

from collections.abc import Iterable
from datetime import UTC, datetime

from aiogram.types import (
    ChatMemberAdministrator,
    ChatMemberBanned,
    ChatMemberMember,
    ChatMemberOwner,
    User,
)

from services.sandbox.errors import bad_request
from services.sandbox.rooms import BotAccount, Room
from services.sandbox.world import World

_NEVER = datetime.fromtimestamp(0, UTC)
Administrator = ChatMemberOwner | ChatMemberAdministrator
Member = Administrator | ChatMemberMember | ChatMemberBanned


def standing(user: User, expelled: bool) -> ChatMemberMember | ChatMemberBanned:
    if expelled:
        return ChatMemberBanned(user=user, until_date=_NEVER)
    return ChatMemberMember(user=user)


def administrators(world: World, room: Room) -> list[Administrator]:
    """The group's creator, then the people promoted, in the order in which they joined."""
    if room.private:
        raise bad_request("there are no administrators in the private chat")
    promoted = [person for person in world.people.values() if person.id in room.administrators]
    return [_owner(world), *map(_administrator, promoted)]


def member(world: World, room: Room, user_id: int) -> Member:
    """A user as a member of the chat; all people and bots are in the group."""
    user = world.member(user_id)
    if not room.private and user == world.owner:
        return _owner(world)
    if user.id in room.administrators:
        return _administrator(user)
    if room.private and user.id != room.chat.id and user not in _users(room.bots):
        raise bad_request("user not found")
    return standing(user, user in _users(bot for bot in room.bots if bot.name in room.expelled))


def _owner(world: World) -> ChatMemberOwner:
    return ChatMemberOwner(user=world.owner, is_anonymous=False)


def _administrator(user: User) -> ChatMemberAdministrator:
    """One who may do all that the group's creator lets anybody do."""
    return ChatMemberAdministrator(
        user=user,
        can_be_edited=False,
        is_anonymous=False,
        can_manage_chat=True,
        can_delete_messages=True,
        can_manage_video_chats=True,
        can_restrict_members=True,
        can_promote_members=False,
        can_change_info=True,
        can_invite_users=True,
        can_post_stories=False,
        can_edit_stories=False,
        can_delete_stories=False,
        can_send_welcome_messages=False,
        can_pin_messages=True,
        can_manage_topics=True,
    )


def _users(bots: Iterable[BotAccount]) -> list[User]:
    return [bot.user for bot in bots]
