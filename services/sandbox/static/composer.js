// Where a message is written. The focus stays here after sending; what was half written stays in its chat.

import { Avatar } from "./avatar.js";
import { html, useEffect, useLayoutEffect, useRef, useState } from "./html.js";
import { Icon, IconButton } from "./icons.js";
import { PersonPicker } from "./people.js";
import { offersIn, suggestionsFor } from "./suggestions.js";

const drafts = new Map(); // room -> text

export function Composer({ app, answering, setAnswering }) {
  const { chat, t } = app;
  const field = useRef(null);
  const caret = useRef(null); // where it goes once the text is drawn
  const [text, setText] = useState(drafts.get(chat.room) ?? "");
  const [problem, setProblem] = useState(null);
  const list = useSuggestions(app, text, field);

  useEffect(() => void drafts.set(chat.room, text), [text]);
  useEffect(() => void (matchMedia("(hover: hover)").matches && field.current.focus()), []);
  useEffect(() => void (answering && field.current.focus()), [answering?.id]);
  useLayoutEffect(() => {
    grow(field.current);
    if (caret.current !== null) field.current.setSelectionRange(caret.current, caret.current);
    caret.current = null;
  }, [text]);

  async function send(said) {
    field.current.focus();
    if (!said.trim()) return;
    const refusal = await app.say(said, answering?.id);
    setProblem(refusal);
    if (refusal !== null) return;
    setText((now) => (now === text ? "" : now));
    setAnswering(null);
  }
  function take(option, isSent) {
    if (isSent && option.name) return void send(option.text);
    const start = text.slice(0, list.start) + option.text + " ";
    setText(start + text.slice(field.current.selectionStart).trimStart());
    caret.current = start.length;
    list.moveTo(start.length);
    field.current.focus();
  }
  function answerNext(step) {
    const { messages } = chat;
    const index = answering ? messages.findIndex((one) => one.id === answering.id) : messages.length;
    setAnswering(messages[index + step] ?? null);
  }
  function onKeyDown(event) {
    if (event.isComposing) return;
    const { key, shiftKey, ctrlKey } = event;
    const steps = { ArrowUp: -1, ArrowDown: 1 };
    const chosen = list.options[list.active];
    const handled = () => event.preventDefault();
    if (key in steps && ctrlKey) handled(answerNext(steps[key]));
    else if (key in steps && list.options.length) handled(list.step(steps[key]));
    else if (chosen && (key === "Enter" || key === "Tab") && !shiftKey) handled(take(chosen, key === "Enter"));
    else if (key === "Tab" && !shiftKey && list.options.length) handled(take(list.options[0]));
    else if (key === "Enter" && !shiftKey) handled(send(text));
    else if (key === "Escape" && list.options.length) handled(list.close());
    else if (key === "Escape" && answering) handled(setAnswering(null));
  }
  function onInput(event) {
    setText(event.target.value);
    list.reset();
  }
  const isGroup = chat.kind === "group";
  return html`
    <form class="composer" onSubmit=${(event) => (event.preventDefault(), send(text))}>
      <${Suggestions} list=${list} take=${take} isGroup=${isGroup} t=${t} />
      ${answering && html`
        <div class="answered">
          <${Icon} name="reply" />
          <p><b>${answering.name}</b><span>${answering.text}</span></p>
          <${IconButton} icon="close" label=${t.cancel} onClick=${() => (setAnswering(null), field.current.focus())} />
        </div>`}
      <div class="field">
        <${PersonPicker} app=${app} />
        <textarea
          ref=${field} value=${text} rows="1" maxlength="4096" placeholder=${isGroup ? t.groupMessage : t.message} aria-label=${t.message}
          aria-autocomplete="list" aria-haspopup="listbox" aria-controls=${list.options.length ? "suggestions" : null}
          aria-activedescendant=${list.options[list.active] ? `suggestion-${list.active}` : null}
          onInput=${onInput} onKeyDown=${onKeyDown} onSelect=${() => list.moveTo(field.current.selectionStart)} />
        ${list.hasCommands && html`
          <${IconButton} icon="slash" label=${t.commands} onClick=${() => (setText("/"), list.reset(1), field.current.focus())} />`}
        <button class="send" title=${t.send} aria-label=${t.send}><${Icon} name="send" /></button>
      </div>
      <p class="problem" role="alert">${problem === "" ? t.offline : problem}</p>
    </form>`;
}

// The list of offers for what is typed, and which of them is chosen.
function useSuggestions(app, text, field) {
  const [caret, setCaret] = useState(0);
  const [chosen, setChosen] = useState(null);
  const [isClosed, setClosed] = useState(false);
  const offers = offersIn(app);
  const { start, options, isEager } = suggestionsFor(text, caret, offers);
  const shown = isClosed ? [] : options;
  const active = Math.min(chosen ?? (isEager ? 0 : -1), shown.length - 1);
  return {
    start, options: shown, active, hasCommands: offers.commands.length > 0,
    moveTo: setCaret,
    close: () => setClosed(true),
    step: (by) => setChosen((active + by + shown.length) % shown.length),
    reset(at) {
      setCaret(at ?? field.current.selectionStart);
      setChosen(null);
      setClosed(false);
    },
  };
}

function Suggestions({ list, take, isGroup, t }) {
  const box = useRef(null);
  useLayoutEffect(() => box.current?.children[list.active]?.scrollIntoView({ block: "nearest" }), [list.active]);
  if (!list.options.length) return null;
  return html`
    <ul class="suggestions" ref=${box} id="suggestions" role="listbox" aria-label=${t.suggestions}>
      ${list.options.map((option, index) => html`
        <li id=${`suggestion-${index}`} role="option" aria-selected=${index === list.active}
            onMouseDown=${(event) => (event.preventDefault(), take(option, true))}>
          <${Avatar} name=${option.title} kind=${option.kind} />
          <b>${option.name ?? option.title}</b>
          <span>${option.hint}</span>
          ${option.name && isGroup && html`<small>${option.title}</small>`}
        </li>`)}
    </ul>`;
}

// As high as what is written, up to the limit in the style sheet.
function grow(field) {
  field.style.height = "auto";
  field.style.height = `${field.scrollHeight + 2}px`;
}
