// Teach a bot: an export is dropped, one watches how it is learned, and the bot joins the chats.

import { html, useEffect, useState } from "./html.js";
import { Icon } from "./icons.js";
import { post } from "./state.js";
import { keepStored } from "./stored.js";
import { TaughtBot } from "./taught_bot.js";
import { NameForm } from "./teach_name.js";
import { TEACH } from "./teach_texts.js";

const POLL_MS = 1000;
const PACKAGES_MB = 1900; // what training needs, about

export function Teach({ app }) {
  const { t, language } = app;
  const words = TEACH[language];
  const [state, refresh] = useTeaching();
  useEffect(() => void act("install", {}), []);
  // `act` does what a button says; it returns why that is refused, or null.
  async function act(action, body) {
    const { refusal } = await post(`/api/teaching/${action}`, body);
    await refresh();
    return refusal === "" ? t.offline : refusal && words.told(refusal);
  }
  const shared = { app, words, act, state };
  return html`
    <header class="bar">
      <a class="icon-button back" href="#" title=${t.back} aria-label=${t.back}><${Icon} name="back" /></a>
      <div class="head"><h1>${words.title}</h1></div>
    </header>
    <div class="teach">
      <${Packages} ...${shared} />
      <${Drop} words=${words} t=${t} refresh=${refresh} mostBytes=${state?.mostBytes} />
      ${[...(state?.bots ?? [])].reverse().map((bot) => bot.isDraft
        ? html`<${NameForm} key=${bot.bot} bot=${bot} ...${shared} />`
        : html`<${TaughtBot} key=${bot.bot} bot=${bot} ...${shared} />`)}
    </div>`;
}

// What is taught, asked for every second; and what asks at once.
function useTeaching() {
  const [state, setState] = useState(null);
  async function refresh() {
    try {
      const reply = await fetch("/api/teaching");
      if (!reply.ok) return;
      const found = await reply.json();
      setState(found);
      keepStored("draft-", found.bots.map((bot) => bot.bot));
    } catch {
      // the page says that the sandbox is away
    }
  }
  useEffect(() => {
    refresh();
    const timer = setInterval(refresh, POLL_MS);
    return () => clearInterval(timer);
  }, []);
  return [state, refresh];
}

function Packages({ state, words, act }) {
  const { isInstalling, problem, seconds, megabytes } = state?.packages ?? {};
  if (problem) return html`
    <p class="card problem" role="alert">${words.told(problem)}
      <button type="button" class="quiet" onClick=${() => act("install", {})}>${words.again}</button></p>`;
  if (!isInstalling || seconds < 2) return null; // it looks first whether there is anything to do
  return html`<p class="card" role="status">${words.installing(Math.round(seconds), megabytes)}<progress value=${Math.min(megabytes, PACKAGES_MB)} max=${PACKAGES_MB} aria-hidden="true" /></p>`;
}

// Where an export is dropped or chosen; it goes to the disk of this machine as it is.
function Drop({ words, t, refresh, mostBytes }) {
  const [share, setShare] = useState(null);
  const [problem, setProblem] = useState("");
  const [isOver, setOver] = useState(false);
  async function send(files) {
    if (share !== null) return;
    const problems = [];
    for (const file of files) {
      setShare(0);
      const reason = file.size > mostBytes ? words.told(`an export has at most ${mostBytes} bytes`) : await upload(file);
      if (reason) problems.push(`${file.name}: ${reason}`);
      await refresh();
    }
    setShare(null);
    setProblem(problems.join(" "));
  }
  async function upload(file) {
    const { status, responseText } = await put(file, setShare);
    if (status === 201) return "";
    return status ? words.told(JSON.parse(responseText).description) : t.offline;
  }
  function drop(event) {
    event.preventDefault();
    setOver(false);
    const items = [...event.dataTransfer.items];
    if (items.some((item) => item.webkitGetAsEntry()?.isDirectory)) setProblem(words.folder);
    else send([...event.dataTransfer.files]);
  }
  function choose(event) {
    send([...event.target.files]);
    event.target.value = "";
  }
  const over = (event) => {
    event.preventDefault();
    setOver(true);
  };
  return html`
    <label class=${`drop ${isOver ? "over" : ""}`} onDragOver=${over} onDragLeave=${() => setOver(false)} onDrop=${drop}>
      <b>${words.drop}</b>
      <small>${words.formats}</small>
      <input type="file" multiple class="hidden" onChange=${choose} disabled=${share !== null} />
      ${share !== null && html`<progress value=${share} aria-label=${words.sending} />`}
      <span role="alert" class="problem">${problem}</span>
    </label>
    <p class="soft">${words.stays}</p>`;
}

// Returns the request once it has ended.
function put(file, onShare) {
  const request = new XMLHttpRequest(); // fetch does not say how far it is
  request.upload.onprogress = (event) => onShare(event.loaded / event.total);
  request.open("PUT", `/api/teaching/exports?name=${encodeURIComponent(file.name)}`);
  request.setRequestHeader("content-type", "application/octet-stream");
  return new Promise((resolve) => {
    request.onloadend = () => resolve(request);
    request.send(file);
  });
}
