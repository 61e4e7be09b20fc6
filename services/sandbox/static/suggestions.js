// What the composer offers to complete: a bot's commands after a slash, names after @ or from their beginning. Pure.

// What can be offered in a chat: {text, title, hint, kind}; `text` is what is written.
export function offersIn({ chat, bots, people, person }) {
  const isGroup = chat.kind === "group";
  const here = isGroup ? bots : bots.filter((bot) => bot.name === chat.chat);
  const menu = ({ commands }) => (isGroup ? commands[person.owner ? "owner" : "group"] : commands.private);
  const commands = here.flatMap((bot) => menu(bot).map(({ command, description }) => ({
    text: `/${command}${isGroup ? bot.mention : ""}`, name: `/${command}`, title: bot.title, hint: description, kind: "bot",
  })));
  const others = people.filter((one) => one.id !== person.id);
  const names = !isGroup ? [] : [
    ...bots.map((bot) => ({ text: bot.mention, title: bot.title, hint: bot.mention, kind: "bot" })),
    ...others.map((one) => ({ text: `${one.name},`, title: one.name, hint: "", kind: "person" })),
  ];
  return { commands, names };
}

// The offers that fit what stands before the caret: where to put them, and whether Enter takes the first one.
export function suggestionsFor(text, caret, { commands, names }) {
  const before = text.slice(0, caret);
  if (/^\/[\w@]*$/.test(before)) {
    const options = commands.filter((one) => one.text.startsWith(before));
    return { start: 0, options, isEager: !options.some((one) => before === one.name || before === one.text) };
  }
  const [, at, word] = before.match(/(?:^|\s)(?:@(\S*)|(\p{L}{2,}))$/u) ?? [];
  const typed = (at ?? word)?.toLowerCase();
  if (typed === undefined) return { start: 0, options: [], isEager: false };
  const fits = ({ text, title }) => [text.slice(1), title].some((one) => one.toLowerCase().startsWith(typed));
  const isAt = at !== undefined;
  return { start: caret - typed.length - (isAt ? 1 : 0), options: names.filter(fits), isEager: isAt };
}
