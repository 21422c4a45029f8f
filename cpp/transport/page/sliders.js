// How a text is to be written: its length, and how its tokens are drawn.

import { h } from "./dom.js";

function slider(id, name, help, options, changed) {
  const value = h("output", { for: id });
  const input = h("input", { type: "range", id, "aria-describedby": `${id}-help`, ...options });
  const show = () => (value.textContent = id === "top_k" && input.value === "0" ? "all" : input.value);
  input.addEventListener("input", () => { show(); changed(); });
  show();
  return { input, element: h("div", { class: "slider" }, h("label", { for: id }, name), value, input, h("p", { class: "hint", id: `${id}-help` }, help)) };
}

/** `options` gives what is set, by the server's names; `changed` is called when that becomes something else. */
export function sliders(info, changed) {
  const most = Math.max(1, Math.min(info.context ?? 512, 1024));
  const all = [
    slider("max_tokens", "Length", "tokens at most", { min: "1", max: String(most), value: String(Math.min(128, most)) }, changed),
    slider("temperature", "Temperature", "0 takes the likeliest each time", { min: "0", max: "2", step: "0.05", value: "0.8" }, changed),
    slider("top_p", "Top p", "draws among the likeliest up to this share", { min: "0.05", max: "1", step: "0.05", value: "1" }, changed),
    slider("top_k", "Top k", "draws among this many", { min: "0", max: "200", value: "0" }, changed),
  ];
  const seed = h("input", { type: "number", id: "seed", min: "0", max: "4294967295", step: "1", value: "0", inputmode: "numeric", oninput: changed });
  const other = h("button", { type: "button", class: "quiet", onclick: () => { seed.value = String(Math.floor(Math.random() * 1e6)); changed(); } }, "Another seed");
  const element = h("div", { class: "sliders" }, all.map((one) => one.element),
    h("div", { class: "slider" }, h("label", { for: "seed" }, "Seed"), h("div", { class: "pair" }, seed, other), h("p", { class: "hint" }, "the same seed gives the same text")));
  const options = () => ({ ...Object.fromEntries(all.map(({ input }) => [input.id, Number(input.value)])), seed: Math.max(0, Math.floor(Number(seed.value) || 0)) });
  return { element, options };
}
