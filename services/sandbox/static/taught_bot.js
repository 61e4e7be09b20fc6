// One bot that is taught: how far each job is, what can be done, and its file.

import { Curve } from "./curve.js";
import { html, useState } from "./html.js";

const DAY = 86400; // seconds
const BY_CHANCE = 0.1; // the share of real answers that are found among ten
const ofHundred = (share) => Math.round(100 * share);

function duration(seconds, words) {
  const clock = new Date(1000 * Math.max(0, seconds)).toISOString().slice(seconds < 3600 ? 14 : 11, 19);
  return `${seconds < DAY ? "" : words.days(Math.floor(seconds / DAY))}${clock}`;
}

export function TaughtBot({ bot, words, act, app, state }) {
  const { dataset, trained, converted, evaluation, version, wanted, isWorking, isWaiting, problem } = bot;
  const done = [dataset, trained, converted, evaluation, version].map(Boolean);
  const first = done.indexOf(false); // the job that is at work, or would be
  const isDone = first < 0 && !wanted;
  const isAtWork = (isWorking || isWaiting) && wanted === "model";
  const isLeaving = wanted === "deletion"; // which has failed, where it is still shown
  const isChoosing = dataset && !trained && !bot.progress && !isAtWork && !isLeaving;
  const parts = [Extraction, Training, null, Evaluation, Published];
  const [refusal, setRefusal] = useState(null);
  const press = async (action, body) => setRefusal(await act(action, { bot: bot.bot, ...body }));
  const told = problem ? words.told(problem) : refusal;
  return html`
    <section class="card" aria-label=${bot.bot}>
      <header class="card-head"><h2>${bot.bot}</h2><small>${statusOf(bot, isDone, words, state)}</small></header>
      <ol class="steps">${parts.map((Part, index) => {
        const isActive = index === first && isWorking && !(isChoosing && index > 0);
        const kind = done[index] && (first < 0 || index < first) ? "done" : isActive ? "active" : "";
        return html`<li key=${index} class=${kind} aria-current=${isActive ? "step" : null}>
          <b>${words.steps[index]}</b>${Part && html`<${Part} bot=${bot} words=${words} app=${app} />`}</li>`;
      })}</ol>
      ${told && html`<p class="problem" role="alert">${told}</p>`}
      ${isChoosing && html`<${Bases} bot=${bot} words=${words} press=${press} state=${state} />`}
      ${dataset && !isChoosing && !isAtWork && !isLeaving && html`
        <details><summary>${words.relearn}</summary><p class="soft">${words.relearnAbout}</p><${Bases} bot=${bot} words=${words} press=${press} state=${state} /></details>`}
      <div class="row">
        ${isAtWork && html`<button type="button" class="quiet" onClick=${() => press("stop")}>${words.stop}</button>`}
        ${!isAtWork && !isChoosing && !isLeaving && (!isDone || problem) && !isWorking && html`
          <button type="button" class="main-button" onClick=${() => press("learn")}>${problem ? words.again : words.goOn}</button>`}
        <${Delete} bot=${bot} words=${words} act=${act} />
      </div>
      <${BotFile} bot=${bot} words=${words} act=${act} />
      <details><summary>${words.further}</summary><ul class="further">
        ${words.telegram(bot.bot).map((line) => html`<li>${line}</li>`)}
        ${words.server(bot.bot).map((line) => html`<li>${line}</li>`)}</ul></details>
      <p class="soft">${words.lies(bot.folder)}</p>
    </section>`;
}

function statusOf(bot, isDone, words, state) {
  if (bot.problem) return words.failed;
  if (bot.isWaiting) return state.packages.isInstalling ? words.waitingForPackages : words.waiting;
  if (isDone) return words.ready;
  if (bot.wanted === "") return bot.isWorking ? words.stopping : words.stopped;
  return bot.isWorking ? words.working : "";
}

function Extraction({ bot, words }) {
  const { dataset } = bot;
  if (!dataset) return null;
  return html`
    <p>${words.learned(dataset.messages_read, dataset.persona_messages, dataset.train_records)} <${Report} bot=${bot} name="dataset" text=${words.report} /></p>
    ${dataset.warnings?.map((line) => html`<p class="soft">${words.told(line)}</p>`)}`;
}

function Training({ bot, words, app }) {
  const { progress, trained, isWorking } = bot;
  if (!progress) return null;
  const { step, steps, seconds_left, tokens_per_second, samples } = progress;
  const left = !trained && isWorking ? words.left(duration(seconds_left, words)) : "";
  return html`
    <progress value=${trained ? steps : step} max=${steps} aria-label=${words.steps[1]} />
    <p>${words.step(step, steps)}${left}${trained && step < steps && words.early} <small>${words.speed(Math.round(tokens_per_second))}</small></p>
    <${Curve} progress=${progress} words=${words} language=${app.language} />
    ${samples.slice(-1).map((one) => html`<${Sample} sample=${one} words=${words} />`)}
    ${samples.length > 1 && html`<details><summary>${words.earlier}</summary>
      ${samples.slice(0, -1).map((one) => html`<${Sample} key=${one[0]} sample=${one} words=${words} />`)}</details>`}`;
}

function Sample({ sample, words }) {
  const [step, replies] = sample;
  return html`
    <div class="replies"><small>${words.says(step)}</small>
      <dl>${replies.map(([question, reply]) => html`<dt>${question}</dt><dd>${reply || "…"}</dd>`)}</dl></div>`;
}

function Evaluation({ bot, words }) {
  const { evaluation } = bot;
  if (!evaluation) return null;
  const { hits, memorised, unknown_words } = evaluation;
  const lines = [
    hits?.tuned && words.hits(ofHundred(hits.tuned.relative.value), hits.base && ofHundred(hits.base.relative.value)),
    memorised?.tuned && words.memorised(ofHundred(memorised.tuned.value)),
    unknown_words?.tuned && words.unknown(ofHundred(unknown_words.tuned.value)),
  ].filter(Boolean);
  const isPoor = hits?.tuned && hits.tuned.relative.value <= BY_CHANCE;
  return html`${lines.map((line) => html`<p>${line}</p>`)}${isPoor && html`<p>${words.poor}</p>`}
    ${lines.length ? html`<p><${Report} bot=${bot} name="evaluation" text=${words.report} /></p>` : html`<p class="soft">${words.unmeasured}</p>`}`;
}

function Published({ bot, words }) {
  return bot.version && html`<p><a class="link" href="#${bot.bot}">${words.talk}</a></p>`;
}

function Report({ bot, name, text }) {
  return bot.reports.includes(name) && html`<a class="link" target="_blank" rel="noopener" href="/api/teaching/reports/${bot.bot}/${name}">${text}</a>`;
}

// The base models that are on this machine, and what learning by each would cost.
function Bases({ bot, words, press, state }) {
  const [chosen, setBase] = useState(null);
  const base = chosen ?? bot.base ?? "demo";
  const costs = bot.estimates ?? {};
  const bases = state.bases.includes(base) ? state.bases : [base, ...state.bases]; // bot.yaml may name another
  return html`
    <fieldset><legend>${words.base}</legend>
      ${bases.map((one) => html`
        <label class="choice" key=${one}><input type="radio" name=${`base ${bot.bot}`} checked=${base === one} onChange=${() => setBase(one)} />
          <span>${words.bases[one] ?? one}</span>
          <small>${costs[one] ? words.cost(costs[one].time, costs[one].memory) : bot.isWorking || bot.isWaiting ? words.counting : ""}</small></label>`)}
      ${state.bases.length < 2 && html`<p class="soft">${words.larger}</p>`}
    </fieldset>
    <button type="button" class="main-button" onClick=${() => press("learn", base === bot.base ? {} : { base })}>${words.learn}</button>`;
}

function BotFile({ bot, words, act }) {
  const [text, setText] = useState(null); // null until one changes it
  const [told, setTold] = useState(null);
  async function save() {
    setTold(null);
    const refusal = await act("file", { bot: bot.bot, text });
    setTold(refusal === null ? words.saved : html`<span class="problem">${refusal}</span>`);
    if (refusal === null) setText(null);
  }
  return html`
    <details><summary>bot.yaml</summary>
      <textarea rows="10" spellcheck="false" aria-label="bot.yaml" value=${text ?? bot.text} onInput=${(event) => setText(event.target.value)} />
      <div class="row"><button type="button" class="quiet" disabled=${text === null} onClick=${save}>${words.save}</button><span role="status">${told}</span></div>
    </details>`;
}

// Deletes at the second press.
export function Delete({ bot, words, act }) {
  const [isAsked, setAsked] = useState(false);
  const [refusal, setRefusal] = useState(null);
  const remove = async () => setRefusal(await act("delete", { bot: bot.bot }));
  if (!isAsked) return html`<button type="button" class="quiet" onClick=${() => setAsked(true)}>${words.delete}</button>`;
  return html`
    <span class="row"><button type="button" class="quiet problem" onClick=${remove}>${bot.isDraft ? words.deleteFile : words.deleteAll}</button>
    <button type="button" class="quiet" onClick=${() => setAsked(false)}>${words.keep}</button><span role="alert">${refusal}</span></span>`;
}
