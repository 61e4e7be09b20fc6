// The messages of a chat, by days; follows the newest one unless somebody has scrolled up.

import { Avatar } from "./avatar.js";
import { html, useLayoutEffect, useRef, useState } from "./html.js";
import { Icon } from "./icons.js";
import { Message } from "./message.js";

const PAGE = 100; // messages that are drawn at first
const NEAR_END = 80; // pixels from the end within which new messages are followed
const PAUSE = 300; // seconds after which a message of the same author has a head of its own

export function Messages({ app, answering, setAnswering }) {
  const { chat, t } = app;
  const [limit, setLimit] = useState(PAGE);
  const [current, setCurrent] = useState(null); // the id of the message whose buttons the Tab key reaches
  const [sought, setSought] = useState(null); // {id} of the message to scroll to
  const { box, isAway, onScroll, toEnd } = useFollowing([chat.messages, chat.typing.length]);
  const fromEnd = useRef(null); // where one was while earlier messages are put above
  useLayoutEffect(() => {
    if (fromEnd.current !== null) box.current.scrollTop = box.current.scrollHeight - fromEnd.current;
    fromEnd.current = null;
  }, [limit]);
  useLayoutEffect(() => reveal(box.current, sought?.id, true), [sought]);
  useLayoutEffect(() => reveal(box.current, answering?.id), [answering?.id]);

  const shown = chat.messages.slice(-limit);
  const reached = shown.find((one) => one.id === current) ?? shown.at(-1);
  function showEarlier() {
    fromEnd.current = box.current.scrollHeight - box.current.scrollTop;
    setLimit(limit + PAGE);
  }
  function seek(id) {
    const index = chat.messages.findIndex((one) => one.id === id);
    setLimit(Math.max(limit, chat.messages.length - index));
    setSought({ id });
  }
  return html`
    <div class="messages" ref=${box} onScroll=${onScroll} tabindex="0" role="region" aria-label=${t.messages}>
      ${shown.length < chat.messages.length && html`
        <button type="button" class="quiet-button" onClick=${showEarlier}>${t.earlier}</button>`}
      <ol onKeyDown=${walk}>${shown.flatMap((message, index) => item(message, shown[index - 1], shown[index + 1]))}</ol>
      ${!shown.length && html`<${Empty} app=${app} />`}
      <p class="typing">${chat.typing.length > 0 && html`${t.typing(chat.typing.join(", "))}<${Dots} />`}</p>
      ${isAway && html`
        <button type="button" class="icon-button to-end" title=${t.newest} aria-label=${t.newest} onClick=${toEnd}><${Icon} name="down" /></button>`}
    </div>`;

  function walk(event) {
    const message = event.target.closest(".message");
    const next = { ArrowUp: "previous", ArrowDown: "next" }[event.key];
    const found = next && besides(message, next);
    if (found) event.preventDefault();
    found?.focus();
  }
  function item(message, before, after) {
    const day = dayOf(message, app);
    return html`
      ${(!before || dayOf(before, app) !== day) && html`<li class="day" key=${`day ${message.id}`}><span>${day}</span></li>`}
      <${Message}
        key=${message.id} message=${message} app=${app} seek=${seek} setAnswering=${setAnswering}
        answered=${message.reply_to && (chat.messages.find((one) => one.id === message.reply_to) ?? null)}
        isAnswering=${answering?.id === message.id} setCurrent=${setCurrent}
        isCurrent=${message === reached}
        isFirst=${!isSameRun(before, message)} isLast=${!isSameRun(message, after)} />`;
  }
}

// Stay at the end while it is in sight, whatever grows or shrinks.
function useFollowing(changes) {
  const box = useRef(null);
  const follows = useRef(true);
  const [isAway, setAway] = useState(false);
  const toEnd = () => box.current.scrollTo({ top: box.current.scrollHeight });
  const follow = () => follows.current && toEnd();
  function onScroll() {
    const { scrollHeight, scrollTop, clientHeight } = box.current;
    follows.current = scrollHeight - scrollTop - clientHeight < NEAR_END;
    setAway(!follows.current);
  }
  useLayoutEffect(() => void follow(), changes);
  useLayoutEffect(() => {
    const observer = new ResizeObserver(follow);
    observer.observe(box.current);
    return () => observer.disconnect();
  }, []);
  return { box, isAway, onScroll, toEnd };
}

function reveal(box, id, isFocused = false) {
  const found = id && box.querySelector(`[data-id="${id}"]`);
  if (!found) return;
  const isCalm = matchMedia("(prefers-reduced-motion: reduce)").matches;
  found.scrollIntoView({ block: isFocused ? "center" : "nearest", behavior: isCalm ? "auto" : "smooth" });
  if (isFocused) found.focus({ preventScroll: true });
}

// The message before or after one, if there is one.
function besides(message, next) {
  let found = message;
  do found = found?.[`${next}ElementSibling`];
  while (found?.matches(".day"));
  return found;
}

const isSameRun = (one, next) => one && next && one.from === next.from && next.at - one.at < PAUSE;

function dayOf({ at }, { t, language }) {
  const day = new Date(at * 1000);
  if (day.toDateString() === new Date().toDateString()) return t.today;
  return day.toLocaleDateString(language, { day: "numeric", month: "long" });
}

const Dots = () => html`<span class="dots" aria-hidden="true"><i /><i /><i /></span>`;

function Empty({ app }) {
  const { chat, t } = app;
  return html`
    <div class="nothing">
      <${Avatar} name=${chat.title} kind=${chat.kind} />
      <p>${t.nothingYet}</p>
      <p>${chat.kind === "group" ? t.emptyGroup : t.emptyPrivate(chat.title)}</p>
    </div>`;
}
