// Faces drawn from a name: the same name always has the same one.

import { html } from "./html.js";

const COLORS = ["#b5523c", "#22788a", "#846a1c", "#97467f", "#5d6a9b", "#43783d", "#6c5bb3", "#37699f"];
const EYES = [
  html`<circle cx="16.5" cy="21" r="2" /><circle cx="23.5" cy="21" r="2" />`,
  html`<rect x="14.5" y="19" width="4" height="4" rx="1" /><rect x="21.5" y="19" width="4" height="4" rx="1" />`,
  html`<rect x="14" y="19.5" width="12" height="3" rx="1.5" />`,
];
const MOUTHS = [
  html`<rect x="17" y="25.5" width="6" height="1.6" rx=".8" />`,
  html`<path d="M16.5 25.2a3.6 3.6 0 0 0 7 0z" />`,
  html`<path d="M16 25h8v2.4h-8z" /><path d="M18.3 25v2.4M21.7 25v2.4" stroke="#fff" stroke-width=".7" />`,
];
const EARS = [
  html`<path d="M20 14.5v-4" /><circle cx="20" cy="9.5" r="1.2" fill="#fff" />`,
  html`<path d="M16.5 14.5l-2-4M23.5 14.5l2-4" />`,
  html`<path d="M11 20v4M29 20v4" stroke-width="3" />`,
];

function hash(name) {
  let value = 2166136261;
  for (const letter of name) value = Math.imul(value ^ letter.codePointAt(0), 16777619) >>> 0;
  return (value ^ (value >>> 20)) >>> 0;
}

export const colorOf = (name) => COLORS[hash(name) % COLORS.length];

// `kind` is person, bot or group.
export function Avatar({ name, kind }) {
  const Drawing = { bot: Robot, group: Crowd }[kind] ?? Initial;
  return html`
    <svg class="avatar" viewBox="0 0 40 40" aria-hidden="true">
      <circle cx="20" cy="20" r="20" fill=${colorOf(name)} />
      <${Drawing} name=${name} />
    </svg>`;
}

function Initial({ name }) {
  const [letter] = name.trim() || "?";
  return html`<text x="20" y="26.5" text-anchor="middle" fill="#fff">${letter.toUpperCase()}</text>`;
}

function Robot({ name }) {
  const value = hash(name) >>> 3;
  const pick = (parts, step) => parts[Math.floor(value / step) % parts.length];
  return html`
    <g transform="translate(-5 -6.6) scale(1.25)">
      <g stroke="#fff" stroke-width="1.8" stroke-linecap="round" fill="none">${pick(EARS, 1)}</g>
      <rect x="11" y="14.5" width="18" height="15" rx="5" fill="#fff" />
      <g fill=${colorOf(name)}>${pick(EYES, 3)}${pick(MOUTHS, 9)}</g>
    </g>`;
}

function Crowd() {
  return html`
    <g fill="#fff">
      <g opacity=".65"><circle cx="13.5" cy="17.5" r="3.6" /><path d="M7 28a6.5 6 0 0 1 13 0z" /></g>
      <g opacity=".65"><circle cx="26.5" cy="17.5" r="3.6" /><path d="M20 28a6.5 6 0 0 1 13 0z" /></g>
      <circle cx="20" cy="18" r="4.4" /><path d="M11.5 30.5a8.5 8 0 0 1 17 0z" />
    </g>`;
}
