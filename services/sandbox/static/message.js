// One message: who, what it answers, its text, its buttons, and what one can do with it.

import { Avatar, colorOf } from "./avatar.js";
import { timeOf } from "./chats.js";
import { html } from "./html.js";
import { IconButton } from "./icons.js";

const PARTS = /((?<![\p{L}\d_@])@[A-Za-z0-9_]{4,32}(?![\p{L}\d_])|(?<![\p{L}\d_/<])\/[a-z][a-z0-9_]*(?:@[A-Za-z0-9_]+)?)/u;

// `answered` is the message that it replies to, null if that is gone; first and last of its author's in a row.
export function Message({ message, app, answered, isAnswering, isCurrent, isFirst, isLast, seek, setAnswering, setCurrent }) {
  const { chat, bots, person, language, t } = app;
  const isMine = message.from === person.id;
  const author = bots.find((bot) => bot.id === message.from);
  const isNamed = isFirst && !isMine && chat.kind === "group";
  const tab = isCurrent ? 0 : -1;
  const choose = () => setCurrent(message.id);
  const classes = ["message", isMine && "mine", isFirst && "first", isLast && "last", isAnswering && "answering", isCurrent && "current"];
  return html`
    <li class=${classes.filter(Boolean).join(" ")} data-id=${message.id} tabindex=${tab} onFocusIn=${choose} onClick=${choose}>
      ${chat.kind === "group" && !isMine && html`
        <span class="face">${isLast && html`<${Avatar} name=${message.name} kind=${author ? "bot" : "person"} />`}</span>`}
      <div class="said">
        <div class="bubble" onDblClick=${() => setAnswering(message)}>
          <b class=${isNamed ? "author" : "hidden"} style=${{ "--own": colorOf(message.name) }}>${message.name}</b>
          ${answered !== null && answered !== undefined && html`<${Quote} answered=${answered} seek=${seek} />`}
          ${message.reply_to && answered === null && html`<span class="quote">${t.gone}</span>`}
          <span class="text"><${Text} text=${message.text} author=${author} app=${app} /></span>
          <time>${timeOf(message, language)}</time>
        </div>
        ${message.buttons.map((row) => html`<${Keys} row=${row} message=${message} app=${app} />`)}
      </div>
      <div class="actions">
        <${IconButton} icon="reply" label=${t.reply(message.name)} tabindex=${tab} onClick=${() => setAnswering(message)} />
        <${IconButton} icon="why" label=${t.why} tabindex=${tab} onClick=${() => app.openPanel("why", { message })} />
      </div>
    </li>`;
}

const Quote = ({ answered, seek }) => html`
  <button type="button" class="quote" onClick=${() => seek(answered.id)}><b>${answered.name}</b><span>${answered.text}</span></button>`;

// A bot's commands can be given by a click.
function Text({ text, author, app }) {
  return text.split(PARTS).map((part, index) => {
    if (index % 2 === 0) return part;
    if (part[0] === "@" || !author) return html`<span class="link">${part}</span>`;
    const isComplete = app.chat.kind !== "group" || part.includes("@");
    const command = isComplete ? part : part + author.mention;
    return html`<button type="button" class="link" onClick=${() => app.say(command)}>${part}</button>`;
  });
}

const Keys = ({ row, message, app }) => html`
  <div class="keys">${row.map(({ text, data }) => html`
    <button type="button" disabled=${data === null} onClick=${() => app.press(message, data)}>${text}</button>`)}
  </div>`;
