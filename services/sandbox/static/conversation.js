// One chat: its head, its messages, and the composer below them.

import { Avatar } from "./avatar.js";
import { Composer } from "./composer.js";
import { html, useEffect, useState } from "./html.js";
import { Icon, IconButton } from "./icons.js";
import { Messages } from "./messages.js";

export function Conversation({ app }) {
  const { chat, t } = app;
  const [answered, setAnswered] = useState(null); // the id of the message that the next one replies to
  useEffect(() => setAnswered(null), [chat?.room]);
  if (!chat) return html`<p class="nothing">${t.chooseChat}</p>`;
  const answering = chat.messages.find((one) => one.id === answered) ?? null;
  const replying = { answering, setAnswering: (message) => setAnswered(message?.id ?? null) };
  return html`
    <${Head} app=${app} />
    <${Messages} key=${chat.room} app=${app} ...${replying} />
    <${Notice} app=${app} />
    <${Composer} key=${`composer ${chat.room}`} app=${app} ...${replying} />`;
}

function Head({ app }) {
  const { chat, t, bots, people, person, openPanel } = app;
  const isGroup = chat.kind === "group";
  const below = isGroup ? t.members(bots.length + people.length) : t.bot;
  const title = html`
    <${Avatar} name=${chat.title} kind=${chat.kind} />
    <span><h1>${chat.title}</h1><small>${chat.typing.length ? html`<em>${t.typing(chat.typing.join(", "))}</em>` : below}</small></span>`;
  return html`
    <header class="bar">
      <a class="icon-button back" href="#" title=${t.back} aria-label=${t.back}><${Icon} name="back" /></a>
      <div class="head">${title}</div>
      <a class="icon-button" href=${`/api/export?${new URLSearchParams({ chat: chat.chat, person: person.id })}`}
        download="result.json" title=${t.exportChat} aria-label=${t.exportChat}><${Icon} name="export" /></a>
      ${isGroup && html`<${IconButton} icon="people" label=${t.people} onClick=${() => openPanel("people")} />`}
    </header>`;
}

// What a bot answers to a pressed button, until it is closed or another answer comes.
function Notice({ app }) {
  const { answered, chat, person, t } = app;
  const [closed, setClosed] = useState(null);
  const isShown = answered?.text && answered.query !== closed && answered.room === chat.room && answered.person === person.id;
  return html`
    <div class="notice" role="status">${isShown && html`
      <p>${answered.text}</p>
      <${IconButton} icon="close" label=${t.close} onClick=${() => setClosed(answered.query)} />`}
    </div>`;
}
