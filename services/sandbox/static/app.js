// The page, put together. `app` is what every component gets: the sandbox's state, and of this page
//   person              in whose name one writes
//   chat, chats         the open chat and all of them, as chats.js gives them
//   say, press          write into the open chat, press a button of a message; both return the refusal
//   openPanel(name, …)  opens what stands beside the chat; closePanel() closes it
//   t, language         texts.js

import { ChatList } from "./chat_list.js";
import { chatsOf } from "./chats.js";
import { Conversation } from "./conversation.js";
import { html, render, useEffect, useRef, useState } from "./html.js";
import { People } from "./people.js";
import { post, useSandbox } from "./state.js";
import { useStored } from "./stored.js";
import { Teach } from "./teach.js";
import { useTexts } from "./texts.js";
import { Why } from "./why.js";

const VIEWS = { teach: Teach }; // what the address #/name opens in the place of a conversation
const PANELS = { people: People, why: Why }; // what openPanel(name) opens beside it
const NARROW = "(max-width: 48rem)"; // the list and the conversation are two screens, as in page.css

function App() {
  const state = useSandbox();
  const texts = useTexts();
  const [storedPerson, setPerson] = useStored("person", null);
  const [read, setRead] = useStored("read", {});
  const [panel, setPanel] = useState(null);
  const route = useRoute();
  const isNarrow = useMedia(NARROW);
  if (!state.isLoaded) return html`<p class="nothing" role="status">${state.isOnline ? "" : texts.t.offline}</p>`;

  const person = state.people.find((one) => one.id === storedPerson) ?? state.people[0];
  const chats = chatsOf(state, person, read);
  const View = VIEWS[route.replace(/^\//, "")];
  const chat = View ? null : chats.find((one) => one.chat === route) ?? (isNarrow ? null : chats[1] ?? chats[0]);
  const app = {
    ...state, ...texts, person, setPerson, chats, chat, panel, isTeaching: View === Teach,
    openPanel: (name, given = {}) => setPanel({ name, ...given }),
    closePanel: () => setPanel(null),
    say: async (text, reply_to) => (await post("/api/messages", { chat: chat.chat, person: person.id, text, reply_to })).refusal,
    press: async ({ id }, data) => (await post("/api/press", { chat: chat.chat, person: person.id, message: id, data })).refusal,
  };
  return html`<${Layout} app=${app} read=${read} setRead=${setRead} View=${View ?? Conversation} />`;
}

function Layout({ app, read, setRead, View }) {
  const { chat, chats, isOnline, panel, t } = app;
  const Panel = View === Conversation && PANELS[panel?.name];
  useReading(chat, read, setRead);
  useTitle(chats);
  const isOpen = chat || View !== Conversation;
  return html`
    <div class=${`page ${isOpen ? "open" : ""} ${Panel ? "beside" : ""}`}>
      <div class="list"><${ChatList} app=${app} /></div>
      <main><${View} app=${app} /></main>
      ${Panel && html`<${Beside} key=${panel.name} close=${app.closePanel}><${Panel} app=${app} ...${panel} /><//>`}
      ${!isOnline && html`<p class="offline" role="alert">${t.offline}</p>`}
      <${Announcer} app=${app} />
    </div>`;
}

// A panel has the focus while it is open, and gives it back.
function Beside({ close, children }) {
  const box = useRef(null);
  useEffect(() => {
    const opener = document.activeElement;
    box.current.focus();
    return () => opener.focus();
  }, []);
  return html`<aside ref=${box} tabindex="-1" onKeyDown=${(event) => event.key === "Escape" && close()}>${children}</aside>`;
}

// Says what has come for somebody who does not see it.
function Announcer({ app }) {
  const { latest, chats, chat, person, t } = app;
  const where = chats.find((one) => one.room === latest?.room);
  const isNews = where && latest.from !== person.id;
  const text = where?.room === chat?.room ? `${latest?.name}: ${latest?.text}` : t.newIn(where?.title);
  return html`<div class="hidden" aria-live="polite">${isNews && html`<p key=${`${latest.room} ${latest.id}`}>${text}</p>`}</div>`;
}

// What is open in a window in sight is read.
function useReading(chat, read, setRead) {
  const newest = chat?.last?.id;
  useEffect(() => {
    const note = () => {
      const isNews = newest && newest > (read[chat.room] ?? 0);
      if (isNews && !document.hidden) setRead({ ...read, [chat.room]: newest });
    };
    note();
    document.addEventListener("visibilitychange", note);
    return () => document.removeEventListener("visibilitychange", note);
  }, [chat?.room, newest]);
}

function useTitle(chats) {
  const unread = chats.reduce((sum, one) => sum + one.unread, 0);
  useEffect(() => {
    document.title = `${unread ? `(${unread}) ` : ""}Persona bots`;
  }, [unread]);
}

// What stands after # in the address: a chat, or /view; the browser's back button goes back to the list.
function useRoute() {
  const [route, setRoute] = useState(location.hash.slice(1));
  useEffect(() => {
    const follow = () => setRoute(location.hash.slice(1));
    addEventListener("hashchange", follow);
    return () => removeEventListener("hashchange", follow);
  }, []);
  return route;
}

function useMedia(query) {
  const media = matchMedia(query);
  const [isMatching, setMatching] = useState(media.matches);
  useEffect(() => {
    const follow = () => setMatching(media.matches);
    media.addEventListener("change", follow);
    return () => media.removeEventListener("change", follow);
  }, []);
  return isMatching;
}

render(html`<${App} />`, document.getElementById("app"));
