// The loss as it falls: of each step, and of what is held out.

import { html } from "./html.js";

const WIDTH = 640, HEIGHT = 176, EDGE = 8;

export function Curve({ progress, words, language }) {
  const { losses, heldout, steps } = progress;
  const points = [...losses, ...heldout];
  if (losses.length < 2) return null;
  const values = points.map(([, loss]) => loss);
  const low = Math.min(...values), high = Math.max(...values);
  const x = (step) => EDGE + ((WIDTH - 2 * EDGE) * step) / steps;
  const y = (loss) => EDGE + ((HEIGHT - 2 * EDGE) * (high - loss)) / (high - low || 1);
  const line = (pairs) => pairs.map(([step, loss]) => `${x(step).toFixed(1)},${y(loss).toFixed(1)}`).join(" ");
  const number = (value) => value.toLocaleString(language, { maximumFractionDigits: 2 });
  const [, now] = losses.at(-1), [, held] = heldout.at(-1) ?? [];
  return html`
    <figure class="curve">
      <div><span>${number(high)}</span><span>${number(low)}</span>
      <svg viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label=${words.curve(number(losses[0][1]), number(now))}>
        <polyline class="train" points=${line(losses)} />
        <polyline class="held" points=${line(heldout)} />
        ${heldout.map(([step, loss]) => html`<circle class="held" cx=${x(step)} cy=${y(loss)} r="4" />`)}
      </svg></div>
      <figcaption><span class="train">${words.loss(number(now))}</span>${held !== undefined && html`<span class="held">${words.heldLoss(number(held))}</span>`}</figcaption>
    </figure>`;
}
