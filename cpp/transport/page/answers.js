// Answers as people read them.

import { dtype, duration, h, percent } from "./dom.js";

const MOST_CELLS = 200;
const MOST_COLUMNS = 20;

/** Classes with their probabilities, the likeliest first. */
export function bars(answer) {
  const rows = answer.top.map(({ label, probability }) => {
    const bar = h("span", { class: "bar", "aria-hidden": "true" });
    bar.style.setProperty("--share", probability);
    return h("li", {}, h("span", { class: "label" }, label), bar, h("span", { class: "share" }, percent(probability)));
  });
  return h("div", { class: "classes" }, h("p", { class: "best" }, answer.label, h("small", {}, percent(answer.probability))), h("ol", { class: "bars" }, rows));
}

const cell = (value) => (typeof value === "number" && !Number.isInteger(value) ? String(Number(value.toPrecision(6))) : String(value));

/** A tensor's numbers, its last axis in rows, as far as a person would look. */
function numbers(data, shape) {
  const columns = Math.max(1, shape.at(-1) ?? 1);
  const wide = Math.min(columns, MOST_COLUMNS);
  const all = Math.floor(data.length / columns);
  const rows = Math.min(all, Math.max(1, Math.floor(MOST_CELLS / wide)));
  const cells = (row) => Array.from({ length: wide }, (_, k) => h("td", {}, cell(data[row * columns + k])));
  const body = Array.from({ length: rows }, (_, row) => h("tr", {}, cells(row), columns > wide ? h("td", {}, "…") : null));
  const rest = rows < all || columns > wide ? h("p", { class: "hint" }, `${data.length.toLocaleString("en")} numbers in all`) : null;
  return [h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Numbers" }, h("table", {}, h("tbody", {}, body))), rest];
}

/** Outputs as {name, datatype, shape, data}. */
export function tensors(outputs) {
  return h("div", {}, outputs.map(({ name, datatype, shape, data }) =>
    h("section", { class: "tensor" }, h("h4", {}, name, h("small", {}, ` ${dtype(datatype)} [${shape.join(", ")}]`)), numbers(data.flat(Infinity), shape))));
}

/** The answer of `:run`, by what is in it. */
export function answerOf(answer) {
  if (Array.isArray(answer.top)) return bars(answer);
  return tensors(Object.entries(answer).map(([name, { dtype: datatype, shape, data }]) => ({ name, datatype, shape, data: [data] })));
}

export const took = (begun) => h("p", { class: "hint" }, `${duration((performance.now() - begun) / 1000)}, there and back`);

/** Where an answer comes to be; it is read out when it changes. */
export function answerArea() {
  const element = h("section", { class: "answer", "aria-live": "polite", "aria-label": "Answer" });
  return {
    element,
    show: (...children) => element.replaceChildren(...children),
    fail: (text) => element.replaceChildren(h("p", { class: "failure", role: "alert" }, text)),
    busy: (is) => element.setAttribute("aria-busy", String(is)),
  };
}
