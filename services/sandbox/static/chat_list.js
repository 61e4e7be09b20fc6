// The list of chats: last message, time, unread count; above it who writes, below it the language.

import { Avatar } from "./avatar.js";
import { timeOf } from "./chats.js";
import { html } from "./html.js";
import { PersonPicker } from "./people.js";
import { TEACH } from "./teach_texts.js";
import { TEXTS } from "./texts.js";

export function ChatList({ app }) {
  const { t, chats, chat, language, setLanguage } = app;
  return html`
    <header class="bar">
      <${PersonPicker} app=${app} label=${t.you} />
      <label class="language">
        <span class="hidden">${t.language}</span>
        <select value=${language} onChange=${(event) => setLanguage(event.target.value)}>
          ${Object.keys(TEXTS).map((one) => html`<option value=${one} aria-label=${TEXTS[one].name}>${one.toUpperCase()}</option>`)}
        </select>
      </label>
    </header>
    <nav aria-label=${t.chats}>
      <ul class="chats">${chats.map((one) => html`
        <li key=${one.chat}><${Row} app=${app} entry=${one} isOpen=${one.chat === chat?.chat} /></li>`)}</ul>
    </nav>
    ${app.teaching && html`<a class="new-bot" href="#/teach" aria-current=${app.isTeaching ? "page" : null}><span aria-hidden="true">+</span> ${TEACH[language].title}</a>`}`;
}

function Row({ app, entry, isOpen }) {
  const { t, language } = app;
  const { title, kind, last, unread } = entry;
  return html`
    <a class="chat" href="#${entry.chat}" aria-current=${isOpen ? "page" : null}>
      <${Avatar} name=${title} kind=${kind} />
      <span class="chat-title">${title}</span>
      ${last && html`<time>${timeOf(last, language)}</time>`}
      <span class="chat-last"><${Last} app=${app} entry=${entry} /></span>
      ${unread > 0 && html`<span class="unread"><span aria-hidden="true">${unread}</span><span class="hidden">${t.unread(unread)}</span></span>`}
    </a>`;
}

function Last({ app, entry }) {
  const { t, person } = app;
  const { last, typing, kind } = entry;
  if (typing.length) return html`<em>${t.typing(typing.join(", "))}…</em>`;
  if (!last) return t.nothingYet;
  const name = last.from === person.id ? t.you : last.name;
  const isNamed = kind === "group" || last.from === person.id;
  return html`${isNamed && html`<b>${name}: </b>`}${last.text}`;
}
