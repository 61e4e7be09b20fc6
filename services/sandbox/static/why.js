// A panel beside the chat: why a bot said a message and what it cost, or why each bot answered one or not.

import { html, useEffect, useState } from "./html.js";
import { Icon, IconButton } from "./icons.js";

const SPEAKS = ["private", "mention", "text_mention", "reply", "name", "burst", "insanity", "chattiness", "wordless", "limit_told", "command"];

export function Why({ app, message }) {
  const { bots, closePanel, t } = app;
  const told = useTold(app, message);
  const author = bots.find((bot) => bot.id === message.from);
  const asked = (author ? [author] : bots).filter((bot) => told[bot.name]);
  return html`
    <header class="bar"><h2>${t.why}</h2><${IconButton} icon="close" label=${t.close} onClick=${closePanel} /></header>
    <div class="why">
      <blockquote>${message.text}</blockquote>
      ${asked.map((bot) => html`<${Reason} bot=${bot} why=${told[bot.name]} t=${t} />`)}
      ${!asked.length && html`<p class="soft">${t.whyUnknown}</p>`}
      ${author && asked.length > 0 && html`<${Answer} why=${told[author.name]} message=${message} t=${t} />`}
    </div>`;
}

// What the sandbox has heard of the message by now.
function useTold({ person, explained }, message) {
  const [told, setTold] = useState({});
  const news = explained?.room === message.room && explained.id === message.id && explained;
  useEffect(() => {
    const [chat, who] = message.room.split("/"); // the group, or a bot and whom it talks with
    const query = new URLSearchParams({ chat, person: who ?? person.id, message: message.id });
    let isWanted = true;
    fetch(`/api/why?${query}`).then((reply) => reply.json()).then((answer) => isWanted && setTold(answer), () => {});
    return () => { isWanted = false; };
  }, [message.room, message.id, news]);
  return told;
}

const Reason = ({ bot, why, t }) => html`
  <p><b>${bot.title}</b> ${SPEAKS.includes(why.reason) ? t.spoke : t.quiet}: ${t.reasons[why.reason]}.</p>`;

function Answer({ why, message, t }) {
  const { turns, draws } = why;
  if (!turns.length) return null;
  if (!draws.length) return html`<p>${t.outage}</p>`;
  const used = draws.at(-1).turns_used;
  const candidates = draws.flatMap((draw) => draw.candidates);
  const sent = candidates.find((one) => one.messages.includes(message.text)); // others may say the same
  return html`
    <h3>${t.candidates}</h3>
    <ul>${candidates.map((one) => html`<${Candidate} one=${one} isSent=${one === sent} t=${t} />`)}</ul>
    <h3>${t.given}</h3>
    <ol>${turns.map((turn, index) => html`<${Turn} turn=${turn} turns=${turns} isCut=${index < turns.length - used} t=${t} />`)}</ol>
    <h3>${t.figures}</h3>
    <${Figures} draws=${draws} t=${t} />`;
}

function Candidate({ one, isSent, t }) {
  const { action, category } = one.moderation ?? {};
  const verdict = t.moderation[action?.replace("MODERATION_ACTION_", "")];
  return html`
    <li class=${isSent ? "sent" : ""}>
      <span class="text">${one.messages.join("\n") || (!verdict && t.noWords)}</span>
      ${isSent && html`<small class="tag"><${Icon} name="check" />${t.sent}</small>`}
      ${verdict && html`<small class="tag problem">${verdict}${category && `: ${t.categories[category] ?? category}`}</small>`}
      <small>${t.tokensOf(one.tokens)}${one.finish_reason === "FINISH_REASON_LENGTH" && `, ${t.cutOff}`}</small>
    </li>`;
}

function Turn({ turn, turns, isCut, t }) {
  const people = [...new Set(turns.filter((one) => one.role === "ROLE_OTHER").map((one) => one.speaker))];
  const speaker = turn.role === "ROLE_PERSONA" ? t.persona : t.somebody(people.indexOf(turn.speaker) + 1);
  return html`
    <li class=${isCut ? "soft" : ""}><small>${speaker}${isCut && `, ${t.givenCut}`}</small><span class="text">${turn.messages.join("\n")}</span></li>`;
}

// The costs of all draws together.
function Figures({ draws, t }) {
  const sum = (value) => draws.reduce((all, draw) => all + (value(draw) ?? 0), 0);
  const rows = [
    ...["queue", "first_token", "total"].map((name) => [t[name], t.seconds(sum((draw) => draw.timings?.[name]))]),
    [t.prompt_tokens, sum((draw) => draw.prompt_tokens)],
    [t.tokens, sum((draw) => draw.candidates.reduce((all, one) => all + one.tokens, 0))],
    [t.version, draws.at(-1).model_version],
  ];
  return html`<dl>${rows.map(([name, value]) => html`<dt>${name}</dt><dd>${value}</dd>`)}</dl>`;
}
