// The chats that a person has: the group, and one with each bot. Pure.

// `room` is the key of its messages. `read` is the last message read in each room.
export function chatsOf(state, person, read) {
  const { group, bots } = state;
  const all = [
    { chat: group.chat, room: group.chat, title: group.title, kind: "group" },
    ...bots.map((bot) => ({ chat: bot.name, room: `${bot.name}/${person.id}`, title: bot.title, kind: "bot" })),
  ];
  return all.map((one) => {
    const messages = state.rooms[one.room] ?? [];
    const unread = messages.filter(({ id, from }) => id > (read[one.room] ?? 0) && from !== person.id).length;
    return { ...one, messages, last: messages.at(-1), unread, typing: typingIn(state, one.room) };
  });
}

const typingIn = ({ typing, bots }, room) =>
  bots.filter((bot) => typing.some((one) => one.room === room && one.bot === bot.name)).map((bot) => bot.title);

export const timeOf = ({ at }, language) =>
  new Date(at * 1000).toLocaleTimeString(language, { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
