"use strict";
// The page shows what /api/state and /events give, and sends what people write.
// Every text goes into the page as text, never as markup.

const $ = (id) => document.getElementById(id);
const rooms = new Map(); // room key -> Map of message id -> message
const typing = new Map(); // "room bot" -> timer
const unread = new Set();
let state = { bots: [], people: [], group: { chat: "group", title: "" } };
let chat = ""; // a bot's name or the group's; at first the first bot's, which answers everything
let answering = null;
let waiting = null; // events that came while the state was being fetched

const person = () => Number($("person").value);
const keyOf = (name) => (name === state.group.chat ? name : `${name}/${person()}`);
const botOf = (id) => state.bots.find((bot) => bot.id === id);

function make(tag, text, changes = {}) {
  const element = document.createElement(tag);
  element.textContent = text;
  return Object.assign(element, changes);
}

// Replace the children; the focus stays.
function fill(parent, children) {
  const held = parent.contains(document.activeElement) ? document.activeElement.dataset.key : null;
  parent.replaceChildren(...children);
  if (held) parent.querySelector(`[data-key="${held}"]`)?.focus();
}

async function refresh() {
  waiting = [];
  state = await (await fetch("/api/state")).json();
  chat ||= (state.bots[0] ?? { name: state.group.chat }).name;
  const chosen = $("person").value;
  fill($("person"), state.people.map((one) =>
    make("option", one.name + (one.owner ? " (создатель группы)" : ""), { value: one.id })));
  if (chosen) $("person").value = chosen;
  rooms.clear();
  state.messages.forEach(keep);
  render();
  const missed = waiting;
  waiting = null;
  missed.forEach(handle);
}

function keep(message) {
  if (!rooms.has(message.room)) rooms.set(message.room, new Map());
  rooms.get(message.room).set(message.id, message);
}

function render() {
  renderChats();
  renderChips();
  renderMessages();
  renderTyping();
}

function renderChats() {
  const chats = [[state.group.chat, `👥 ${state.group.title}`],
    ...state.bots.map((bot) => [bot.name, `${bot.emoji} ${bot.title}`])];
  fill($("chats"), chats.map(([name, title]) => {
    const button = make("button", title, { type: "button", onclick: () => open(name) });
    button.dataset.key = name;
    if (name === chat) button.setAttribute("aria-current", "true");
    button.classList.toggle("unread", unread.has(keyOf(name)));
    return button;
  }));
  $("title").textContent = chats.find(([name]) => name === chat)[1];
}

function renderChips() {
  const chip = (text, title, onclick) => make("button", text, { type: "button", title, onclick });
  const here = chat === state.group.chat ? state.bots : [];
  const mentions = here.map((bot) =>
    chip(`${bot.emoji} ${bot.mention}`, "Позвать", () => insert(`${bot.mention} `)));
  const insanities = here.map((bot) =>
    chip(`🌀 ${bot.title}`, "Режим безумия: отвечать на всё", () => send(`/insanity${bot.mention}`)));
  $("chips").replaceChildren(...mentions, ...insanities);
  $("text").placeholder = mentions.length ? "Сообщение: боты отвечают, когда их зовут" : "Сообщение";
}

function renderMessages() {
  const messages = rooms.get(keyOf(chat)) ?? new Map();
  $("messages").replaceChildren(...[...messages.values()].map(bubble));
  $("messages").scrollTop = $("messages").scrollHeight;
}

function show(message) {
  const list = $("messages");
  const atEnd = list.scrollHeight - list.scrollTop - list.clientHeight < 80;
  const shown = list.querySelector(`[data-id="${message.id}"]`);
  if (shown) shown.replaceWith(bubble(message));
  else list.append(bubble(message));
  if (atEnd) list.scrollTop = list.scrollHeight;
}

function bubble(message) {
  const bot = botOf(message.from);
  const item = make("li", "", { className: message.from === person() ? "mine" : "" });
  item.dataset.id = message.id;
  const face = make("span", bot ? bot.emoji : message.name.slice(0, 1), { className: "face" });
  face.setAttribute("aria-hidden", "true");
  const body = make("button", "", { type: "button", className: "bubble", title: "Ответить" });
  body.onclick = () => answer(message);
  const answered = message.reply_to && rooms.get(message.room).get(message.reply_to);
  const time = new Date(message.at * 1000).toLocaleTimeString("ru", { hour: "2-digit", minute: "2-digit" });
  body.append(make("b", message.name));
  if (answered) body.append(make("q", `${answered.name}: ${answered.text}`));
  body.append(make("span", message.text), make("small", time));
  const side = make("div", "", { className: "side" });
  side.append(body, ...message.buttons.map((row) => keys(message, row)));
  item.append(face, side);
  return item;
}

// A row of the buttons under a message.
function keys(message, row) {
  const line = make("div", "", { className: "keys" });
  line.append(...row.map(({ text, data }) => {
    const onclick = () => press(message, data);
    return make("button", text, { type: "button", disabled: data === null, onclick });
  }));
  return line;
}

function renderTyping() {
  const here = state.bots.filter((bot) => typing.has(`${keyOf(chat)} ${bot.name}`));
  $("typing").textContent = here.map((bot) => `${bot.emoji} ${bot.title} печатает…`).join("  ");
}

function open(name) {
  chat = name;
  unread.delete(keyOf(chat));
  $("notice").textContent = "";
  answer(null);
  render();
}

function answer(message) {
  answering = message && message.id;
  $("answering").hidden = !message;
  $("answering").firstElementChild.textContent = message ? `Ответ: ${message.name}: ${message.text.slice(0, 80)}` : "";
  if (message) $("text").focus();
}

function insert(words) {
  const field = $("text");
  field.setRangeText(words, field.selectionStart, field.selectionEnd, "end");
  field.focus();
}

// Post what the person did; returns whether the sandbox accepted it.
async function post(path, fields) {
  const body = JSON.stringify({ chat, person: person(), ...fields });
  const headers = { "content-type": "application/json" };
  $("notice").textContent = "";
  try {
    const reply = await fetch(path, { method: "POST", headers, body });
    $("problem").textContent = reply.ok ? "" : (await reply.json()).description;
    return reply.ok;
  } catch {
    $("problem").textContent = "Песочница не отвечает";
    return false;
  }
}

async function send(text) {
  const accepted = await post("/api/messages", { text, reply_to: answering });
  if (accepted) answer(null);
  return accepted;
}

const press = (message, data) => post("/api/press", { message: message.id, data });

async function submit(event) {
  event.preventDefault();
  const text = $("text").value;
  if (text.trim() && (await send(text)) && $("text").value === text) $("text").value = "";
}

const handlers = {
  people: refresh,
  answered(event) {
    if (event.person === person() && event.room === keyOf(chat)) $("notice").textContent = event.text ?? "";
  },
  message(event) {
    stopTyping(event.room, botOf(event.from)?.name);
    keep(event);
    if (event.room === keyOf(chat)) show(event);
    else unread.add(event.room);
    renderChats();
  },
  deleted(event) {
    rooms.get(event.room)?.delete(event.id);
    if (event.room === keyOf(chat)) renderMessages();
  },
  action(event) {
    stopTyping(event.room, event.bot);
    const expire = () => stopTyping(event.room, event.bot);
    typing.set(`${event.room} ${event.bot}`, setTimeout(expire, 5000));
    renderTyping();
  },
};

function stopTyping(room, bot) {
  clearTimeout(typing.get(`${room} ${bot}`));
  typing.delete(`${room} ${bot}`);
  renderTyping();
}

$("composer").addEventListener("submit", submit);
$("text").addEventListener("keydown", (event) => {
  if (event.key === "Enter" && !event.shiftKey && !event.isComposing) submit(event);
  if (event.key === "Escape") answer(null);
});
$("answering").lastElementChild.onclick = () => answer(null);
$("person").onchange = () => open(chat);

function handle(event) {
  if (waiting) waiting.push(event);
  else handlers[event.type]?.(event);
}

const events = new EventSource("/events");
events.onopen = refresh; // after a break too: nothing said meanwhile is missed
events.onmessage = (event) => handle(JSON.parse(event.data));
