// Line drawings on buttons; the button's own label says what it does.

import { html } from "./html.js";

const PATHS = {
  back: "M15 5l-7 7 7 7",
  check: "M5 13l4 4L19 7",
  close: "M6 6l12 12M18 6L6 18",
  down: "M5 9l7 7 7-7",
  export: "M12 4v11M7.5 11l4.5 4.5 4.5-4.5M5 20h14",
  people: "M9 11a3.5 3.5 0 1 0 0-7 3.5 3.5 0 0 0 0 7zM2.5 20a6.5 6.5 0 0 1 13 0M16 4.5a3.5 3.5 0 0 1 0 6M17.5 14a6.5 6.5 0 0 1 4 6",
  reply: "M10 6L4 12l6 6M4 12h9a7 7 0 0 1 7 7",
  send: "M5 12h13M12 5l7 7-7 7",
  slash: "M15 5L9 19",
  why: "M12 21a9 9 0 1 0 0-18 9 9 0 0 0 0 18zM9.3 9.6a2.7 2.7 0 1 1 3.9 2.4c-.8.4-1.2 1-1.2 1.8M12 16.6v.4",
};

export const Icon = ({ name }) => html`
  <svg class="icon" viewBox="0 0 24 24" aria-hidden="true"><path d=${PATHS[name]} /></svg>`;

export const IconButton = ({ icon, label, ...rest }) => html`
  <button type="button" class="icon-button" title=${label} aria-label=${label} ...${rest}><${Icon} name=${icon} /></button>`;
