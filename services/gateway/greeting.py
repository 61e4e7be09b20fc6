"""What the bot says when it is added to a group. Once: it is committed with the update's end."""

from services.gateway.answer import Answer, Outgoing
from services.gateway.context import Context
from services.gateway.incoming import Identity, Membership
from services.gateway.store import chats


async def greet(arrival: Membership, context: Context, me: Identity) -> Answer:
    """Say who the bot is, how it is called and what administrators can set.

    Not in a supergroup that is one of its groups upgraded.
    """
    config, chat = context.config, arrival.chat
    async with context.database.transaction() as db:
        is_silent = chats.is_opted_out(db) or chats.is_upgraded(db, chat)
    if is_silent or not config.serves(arrival.sender, chat):
        return Answer()
    hears_names = me.reads_all or arrival.after == "administrator"
    names = [f"«{name}»" for name in config.names if hears_names]
    calls = ", ".join([f"@{me.username}", *names])
    return Answer((Outgoing(chat, config.texts.joined.replace("{calls}", calls)),))
