// A prompt, how it is to be written on, and the text as it comes.

import { answerArea } from "./answers.js";
import { codeArea } from "./code.js";
import { h } from "./dom.js";
import { sliders } from "./sliders.js";
import { writer } from "./writer.js";

export function writingForm(info) {
  const area = answerArea();
  const code = codeArea(info, "writing");
  const prompt = h("textarea", { id: "prompt", rows: "3", spellcheck: "false", placeholder: "How the text begins" });
  prompt.value = "Once upon a time";
  const update = () => code.update(prompt.value, how.options());
  const how = sliders(info, () => update());
  prompt.addEventListener("input", update);
  update();

  const { write, stop, status } = writer();
  // The text itself is not read out while it comes; that it is there, is.
  area.element.setAttribute("aria-live", "off");

  async function send() {
    const written = h("span", { class: "written" });
    area.show(h("p", { class: "text" }, h("span", { class: "prompt" }, prompt.value), written));
    area.busy(true);
    const body = { text_input: prompt.value, parameters: how.options() };
    const url = `/v2/models/${encodeURIComponent(info.name)}/generate_stream`;
    const end = await write(url, body, written, ({ text_output, finish_reason }) => ({ text: text_output, reason: finish_reason }));
    if (!end) return;
    if (end.failure) area.fail(end.failure);
    area.busy(false);
  }

  const form = h("form", { class: "form", onsubmit: (event) => { event.preventDefault(); void send(); } },
    h("label", { for: "prompt" }, "Prompt"), prompt, how.element,
    h("div", { class: "buttons" }, h("button", { class: "main" }, "Write"), stop));
  prompt.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) form.requestSubmit();
  });
  return h("div", { class: "try" }, form, area.element, status, code.element);
}
