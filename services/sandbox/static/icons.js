// Line drawings on buttons; the button's own label says what it does.

import { html } from "./html.js";

const PATHS = {
  back: "M15 5l-7 7 7 7",
  close: "M6 6l12 12M18 6L6 18",
  down: "M5 9l7 7 7-7",
  people: "M9 11a3.5 3.5 0 1 0 0-7 3.5 3.5 0 0 0 0 7zM2.5 20a6.5 6.5 0 0 1 13 0M16 4.5a3.5 3.5 0 0 1 0 6M17.5 14a6.5 6.5 0 0 1 4 6",
  reply: "M10 6L4 12l6 6M4 12h9a7 7 0 0 1 7 7",
  send: "M5 12h13M12 5l7 7-7 7",
  slash: "M15 5L9 19",
};

export const Icon = ({ name }) => html`
  <svg class="icon" viewBox="0 0 24 24" aria-hidden="true"><path d=${PATHS[name]} /></svg>`;

export const IconButton = ({ icon, label, ...rest }) => html`
  <button type="button" class="icon-button" title=${label} aria-label=${label} ...${rest}><${Icon} name=${icon} /></button>`;
