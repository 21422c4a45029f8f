// A prompt, how it is to be written on, and the text as it comes.

import { answerArea } from "./answers.js";
import { codeArea } from "./code.js";
import { capital, duration, h, sentence, unreachable } from "./dom.js";
import { ask } from "./key.js";

/** The events of a reply, as their JSON. */
async function* events(reply) {
  const reader = reply.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const parts = (rest + value).split("\n\n");
    rest = parts.pop();
    for (const part of parts) {
      if (part.startsWith("data: ")) yield JSON.parse(part.slice(6));
    }
  }
}

function slider(id, name, help, options, changed) {
  const value = h("output", { for: id });
  const input = h("input", { type: "range", id, "aria-describedby": `${id}-help`, ...options });
  const show = () => (value.textContent = id === "top_k" && input.value === "0" ? "all" : input.value);
  input.addEventListener("input", () => { show(); changed(); });
  show();
  return { input, element: h("div", { class: "slider" }, h("label", { for: id }, name), value, input, h("p", { class: "hint", id: `${id}-help` }, help)) };
}

export function writingForm(info) {
  const area = answerArea();
  const code = codeArea(info, "writing");
  const prompt = h("textarea", { id: "prompt", rows: "3", spellcheck: "false", placeholder: "How the text begins" });
  prompt.value = "Once upon a time";
  const update = () => code.update(prompt.value, options());
  const most = Math.max(1, Math.min(info.context ?? 512, 1024));
  const sliders = [
    slider("max_tokens", "Length", "tokens at most", { min: "1", max: String(most), value: String(Math.min(128, most)) }, () => update()),
    slider("temperature", "Temperature", "0 takes the likeliest each time", { min: "0", max: "2", step: "0.05", value: "0.8" }, () => update()),
    slider("top_p", "Top p", "draws among the likeliest up to this share", { min: "0.05", max: "1", step: "0.05", value: "1" }, () => update()),
    slider("top_k", "Top k", "draws among this many", { min: "0", max: "200", value: "0" }, () => update()),
  ];
  const seed = h("input", { type: "number", id: "seed", min: "0", max: "4294967295", step: "1", value: "0", inputmode: "numeric" });
  const other = h("button", { type: "button", class: "quiet", onclick: () => { seed.value = String(Math.floor(Math.random() * 1e6)); update(); } }, "Another seed");
  const options = () => {
    const all = Object.fromEntries(sliders.map(({ input }) => [input.id, Number(input.value)]));
    return { ...all, seed: Math.max(0, Math.floor(Number(seed.value) || 0)) };
  };
  for (const input of [prompt, seed]) input.addEventListener("input", () => update());
  update();

  let running = null; // an AbortController
  const status = h("p", { class: "hint", role: "status" });
  const stop = h("button", { type: "button", disabled: true, onclick: () => running?.abort() }, "Stop");
  // The text itself is not read out while it comes; that it is there, is.
  area.element.setAttribute("aria-live", "off");

  async function write() {
    running?.abort();
    const own = (running = new AbortController());
    const begun = performance.now();
    const written = h("span", { class: "written" });
    area.show(h("p", { class: "text" }, h("span", { class: "prompt" }, prompt.value), written));
    area.busy(true);
    stop.disabled = false;
    status.textContent = "Writing …";
    let reason = "stop";
    try {
      const body = JSON.stringify({ text_input: prompt.value, parameters: options() });
      const reply = await ask(`/v2/models/${encodeURIComponent(info.name)}/generate_stream`, { method: "POST", body, signal: own.signal });
      if (!reply.ok) throw new Failure(await sentence(reply));
      for await (const part of events(reply)) {
        if (part.error) throw new Failure(capital(part.error));
        written.append(part.text_output ?? "");
        reason = part.finish_reason ?? reason;
      }
    } catch (problem) {
      if (own !== running) return;
      reason = "cancelled";
      if (problem instanceof Failure) area.fail(problem.message);
      else if (problem.name !== "AbortError") area.fail(unreachable);
    }
    if (own !== running) return;
    running = null;
    stop.disabled = true;
    area.busy(false);
    const end = { stop: "The text is at its end", length: "The length is reached", cancelled: "Ended early" }[reason] ?? reason;
    const length = written.textContent.length;
    status.textContent = area.element.querySelector(".failure") ? "" : `${end}: ${length.toLocaleString("en")} characters in ${duration((performance.now() - begun) / 1000)}.`;
  }

  const form = h("form", { class: "form", onsubmit: (event) => { event.preventDefault(); void write(); } },
    h("label", { for: "prompt" }, "Prompt"), prompt,
    h("div", { class: "sliders" }, sliders.map(({ element }) => element),
      h("div", { class: "slider" }, h("label", { for: "seed" }, "Seed"), h("div", { class: "pair" }, seed, other), h("p", { class: "hint" }, "the same seed gives the same text"))),
    h("div", { class: "buttons" }, h("button", { class: "main" }, "Write"), stop));
  prompt.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) form.requestSubmit();
  });
  return h("div", { class: "try" }, form, area.element, status, code.element);
}

class Failure extends Error {}
