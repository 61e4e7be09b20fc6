// Of an export that has come: whose voice is learned, and what the bot is called.

import { html, useState } from "./html.js";
import { useStored } from "./stored.js";
import { Delete } from "./taught_bot.js";

const SHOWN = 8; // senders, until one asks for all
const WHOLE_CHAT = "whole-chat";
const LATIN = Object.fromEntries(
  "а a б b в v г g д d е e ё e ж zh з z и i й y к k л l м m н n о o п p р r с s т t у u ф f х kh ц ts ч ch ш sh щ shch ъ - ы y ь - э e ю yu я ya"
    .split(" ").flatMap((sign, index, all) => (index % 2 ? [] : [[sign, all[index + 1].replace("-", "")]])),
);

// A name that the files of a bot may have, made of what somebody is called.
export function nameOf(text) {
  const latin = [...text.toLowerCase()].map((sign) => LATIN[sign] ?? sign).join("");
  return latin.replace(/[^a-z0-9]+/g, "-").replace(/^[^a-z]+|-+$/g, "").slice(0, 32).replace(/-+$/, "");
}

export function NameForm({ bot, words, act }) {
  const { senders, problem } = bot;
  return html`
    <section class="card" aria-label=${bot.file}>
      <header class="card-head"><b>${bot.file}</b><small>${words.megabytes(bot.bytes / 1e6)}</small></header>
      <p class="soft">${words.lies(bot.folder)}</p>
      ${problem ? html`<p class="problem" role="alert">${words.told(problem)}</p><p>${words.expected}</p>`
        : senders ? html`<${Form} bot=${bot} words=${words} act=${act} />`
        : html`<p role="status">${words.reading}</p><progress />`}
      <${Delete} bot=${bot} words=${words} act=${act} />
    </section>`;
}

function Form({ bot, words, act }) {
  const { senders } = bot;
  const likely = senders.find((one) => !one.bot) ?? senders[0];
  const [draft, setDraft] = useStored(bot.bot, null); // what one has chosen and written oneself
  const { chosen = [likely.id], name, called } = draft ?? {};
  const [refusal, setRefusal] = useState(null);
  const change = (changed) => {
    setDraft({ ...draft, ...changed });
    setRefusal(null);
  };
  const setChosen = (ids) => change({ chosen: ids });
  const [isAll, setAll] = useState(senders.length <= SHOWN);
  const [isSent, setSent] = useState(false);
  const isWhole = chosen.includes(WHOLE_CHAT);
  const person = isWhole ? senders[0].chats[0] : senders.find((one) => one.id === chosen[0])?.name ?? "";
  const suggested = { name: nameOf(person), called: person.toLowerCase().split(/[ /]/)[0] };
  function toggle(id, isOn) {
    const others = chosen.filter((one) => one !== id && (id === WHOLE_CHAT || one !== WHOLE_CHAT));
    setChosen(isOn ? [...others, id] : others);
  }
  async function submit(event) {
    event.preventDefault();
    setSent(true);
    const names = (called ?? suggested.called).split(",").map((one) => one.trim()).filter(Boolean);
    const refused = await act("name", { bot: bot.bot, name: name ?? suggested.name, persona: isWhole ? [WHOLE_CHAT] : chosen, called: names });
    setRefusal(refused);
    setSent(false);
    if (refused === null) setDraft(null);
  }
  const choice = (id, title, about) => html`
    <label class="choice"><input type="checkbox" checked=${id === WHOLE_CHAT || !isWhole ? chosen.includes(id) : false} onChange=${(event) => toggle(id, event.target.checked)} />
      <span>${title}</span><small>${about}</small></label>`;
  return html`
    <form onSubmit=${submit}>
      <fieldset><legend>${words.whose}</legend>
        ${senders.slice(0, isAll ? undefined : SHOWN).map((one) => choice(one.id, one.name + (one.bot ? words.isBot : ""), words.messages(one.messages)))}
        ${!isAll && html`<button type="button" class="quiet" onClick=${() => setAll(true)}>${words.more(senders.length - SHOWN)}</button>`}
        ${choice(WHOLE_CHAT, words.wholeChat, words.wholeChatAbout)}
      </fieldset>
      <label class="input">${words.name}
        <input required maxlength="32" value=${name ?? suggested.name} onInput=${(event) => change({ name: event.target.value })} spellcheck="false" />
        <small>${words.nameAbout}</small></label>
      <label class="input">${words.called}
        <input value=${called ?? suggested.called} onInput=${(event) => change({ called: event.target.value })} />
        <small>${words.calledAbout}</small></label>
      <button class="main-button" disabled=${isSent || !chosen.length}>${words.next}</button>
      <p class="problem" role="alert">${refusal}</p>
    </form>`;
}
