// Which parts of a picture, or words of a text, an answer hangs on.

import { h, percent } from "./dom.js";

const TRACE = 0.005; // of a probability: what is less has no colour

/** How much a value is of the largest, and to which side. */
function share(value, most) {
  return value === null || Math.abs(value) < TRACE ? 0 : value / Math.max(most, TRACE);
}

const largest = (values) => values.reduce((most, value) => Math.max(most, Math.abs(value ?? 0)), 0);

function coloured(element, part) {
  element.style.setProperty("--part", Math.abs(part));
  if (part) element.dataset.side = part > 0 ? "for" : "against";
  return element;
}

/** A number of percentage points, with its sign. */
const points = (value) => `${value < 0 ? "−" : "+"}${(100 * Math.abs(value)).toFixed(1)}`;

function legend(what) {
  return h("ul", { class: "legend" },
    h("li", {}, coloured(h("span", { class: "swatch", "aria-hidden": "true" }), 1), `speaks for it: without this ${what} the probability falls`),
    h("li", {}, coloured(h("span", { class: "swatch", "aria-hidden": "true" }), -1), `speaks against it: without this ${what} it rises`));
}

/** Where on a map a cell lies, as people say it. */
function placeOf(row, column, height, width) {
  const third = (k, all, names) => names[Math.min(2, Math.floor(((k + 0.5) * 3) / all))];
  const across = third(column, width, ["left", "centre", "right"]);
  const down = third(row, height, ["top", "middle", "bottom"]);
  return down === "middle" && across === "centre" ? "the centre" : `the ${down} ${across}`;
}

/** The picture on a canvas, once it is read. */
function painted(picture) {
  const canvas = h("canvas", {});
  void createImageBitmap(picture).then((bitmap) => {
    canvas.width = bitmap.width;
    canvas.height = bitmap.height;
    canvas.getContext("2d").drawImage(bitmap, 0, 0);
  });
  return canvas;
}

function heatMap({ label, heatmap: { height, width, values } }, picture) {
  const all = values.flat();
  const most = largest(all);
  const best = all.indexOf(Math.max(...all));
  const told = all[best] < TRACE ? "No part speaks for it by itself."
    : `Most depends on ${placeOf(Math.floor(best / width), best % width, height, width)}: hidden, “${label}” loses ${(100 * all[best]).toFixed(1)} percentage points.`;
  const cells = all.map((value) => coloured(h("span", {}), share(value, most)));
  const map = h("div", { class: "cells" }, cells);
  map.style.setProperty("--columns", width);
  map.style.setProperty("--rows", height);
  return [h("div", { class: "heat", "aria-hidden": "true" }, painted(picture), map), h("p", {}, told)];
}

function markedText({ label, tokens }) {
  const most = largest(tokens.map(({ value }) => value));
  const words = tokens.map(({ text, value }) => {
    const part = share(value, most);
    const title = value === null ? "nothing is left without it" : `${points(value)} percentage points`;
    return [coloured(h("span", { class: "word", title }, text), part), " "];
  });
  const known = tokens.filter(({ value }) => value !== null && Math.abs(value) >= TRACE).sort((a, b) => Math.abs(b.value) - Math.abs(a.value)).slice(0, 3);
  const told = known.length ? `Most depends on ${known.map(({ text, value }) => `“${text}” (${points(value)})`).join(", ")}: percentage points of “${label}”.` : "No word counts by itself.";
  return [h("p", { class: "marked" }, words), h("p", {}, told)];
}

/** The answer of `:explain`; `picture` is what was explained, where it was one. */
export function explanation(made, picture) {
  const title = h("p", { class: "why" }, "Why ", h("strong", {}, made.label), h("small", {}, ` ${percent(made.probability)}`));
  const parts = made.heatmap ? [heatMap(made, picture), legend("part")] : [markedText(made), legend("word")];
  return h("div", { class: "explanation" }, title, parts);
}
