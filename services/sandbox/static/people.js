// Who is in the group, and in whose name one writes.

import { Avatar } from "./avatar.js";
import { html, useState } from "./html.js";
import { IconButton } from "./icons.js";
import { post } from "./state.js";

export function PersonPicker({ app, label }) {
  const { people, person, setPerson, t } = app;
  return html`
    <label class="picker" title=${t.writeAs}>
      <${Avatar} name=${person.name} kind="person" />
      <span class="picker-label">${label}</span>
      <select aria-label=${t.writeAs} value=${person.id} onChange=${(event) => setPerson(Number(event.target.value))}>
        ${people.map((one) => html`<option key=${one.id} value=${one.id}>${one.name}</option>`)}
      </select>
    </label>`;
}

// A panel beside the chat: choose who writes, or add a person.
export function People({ app }) {
  const { bots, people, person, setPerson, closePanel, t } = app;
  return html`
    <header class="bar"><h2>${t.people}</h2><${IconButton} icon="close" label=${t.close} onClick=${closePanel} /></header>
    <ul class="members">
      ${people.map((one) => html`
        <li key=${one.id}>
          <button type="button" class="member" aria-pressed=${one.id === person.id} onClick=${() => setPerson(one.id)}>
            <${Avatar} name=${one.name} kind="person" />
            <span>${one.name}${one.owner && html`<small>${t.owner}</small>`}</span>
            ${one.id === person.id && html`<small>${t.you}</small>`}
          </button>
        </li>`)}
      ${bots.map((bot) => html`
        <li key=${bot.id} class="member">
          <${Avatar} name=${bot.title} kind="bot" />
          <span>${bot.title}<small>${bot.mention}</small></span>
        </li>`)}
    </ul>
    <${AddPerson} app=${app} />`;
}

function AddPerson({ app }) {
  const { t, setPerson } = app;
  const [name, setName] = useState("");
  const [problem, setProblem] = useState(null);
  async function add(event) {
    event.preventDefault();
    if (!name.trim()) return;
    const { refusal, answer } = await post("/api/people", { name: name.trim() });
    setProblem(refusal);
    if (refusal !== null) return;
    setName("");
    setPerson(answer.id);
  }
  return html`
    <form class="add-person" onSubmit=${add}>
      <label>${t.addPerson}
        <input value=${name} onInput=${(event) => setName(event.target.value)} required maxlength="64" placeholder=${t.personName} />
      </label>
      <button class="main-button">${t.add}</button>
      <p role="alert">${problem === "" ? t.offline : problem}</p>
    </form>`;
}
