// The templates of all components: html`<p>${text}</p>`. A text becomes a text node, never markup.

import htm from "htm";
import { h, render } from "preact";

export const html = htm.bind(h);
export { render };
export * from "preact/hooks";
