// For each model the form that its package asks for.

import { answerArea, answerOf, tensors, took } from "./answers.js";
import { chatForm } from "./chat_form.js";
import { codeArea } from "./code.js";
import { choice, dtype, h, sentence, unreachable } from "./dom.js";
import { drawing } from "./draw.js";
import { explanation } from "./explain.js";
import { ask as fetched } from "./key.js";
import { writingForm } from "./text_form.js";

const MOST_NUMBERS = 4096; // that are written out for a tensor

export function formFor(info) {
  if (info.task === "text-generation") return info.chat_roles?.length ? chatOrWriting(info) : writingForm(info);
  if (info.input.kind === "image") return imageForm(info);
  if (info.input.kind === "text") return textForm(info);
  return tensorForm(info);
}

/**
 * What asks for one thing at a time and drops the answers to all but the last, counted from the moment
 * of asking: `body` may still be a promise. `forget` drops that one too and empties the area.
 */
function asking(area) {
  let last = 0;
  const forget = () => {
    last += 1;
    area.show();
    area.busy(false);
  };
  const ask = async (url, body, show) => {
    const own = ++last;
    const begun = performance.now();
    area.busy(true);
    try {
      const sent = await body;
      if (own !== last) return;
      const reply = await fetched(url, { method: "POST", body: sent });
      const failure = reply.ok ? null : await sentence(reply);
      const answer = reply.ok ? await reply.json() : null;
      if (own !== last) return;
      if (failure) area.fail(failure);
      else area.show(show(answer, sent), took(begun));
    } catch {
      if (own === last) area.fail(unreachable);
    }
    if (own === last) area.busy(false);
  };
  return { ask, forget };
}

/** One of them is in the page at a time, for both have the same sliders. */
function chatOrWriting(info) {
  const forms = [chatForm(info), writingForm(info)];
  const place = h("div", {}, forms[0]);
  return h("div", { class: "either" }, choice("What to do", ["Conversation", "Text"], 0, (k) => place.replaceChildren(forms[k])), place);
}

const explainUrl = (info) => `/v1/models/${encodeURIComponent(info.name)}:explain`;
const runUrl = (info) => `/v1/models/${encodeURIComponent(info.name)}:run`;

function imageForm(info) {
  const area = answerArea();
  const { ask, forget } = asking(area);
  const code = codeArea(info, "image");
  code.update();
  let asked = null; // the last picture, or its promise
  const explain = h("button", { type: "button", disabled: true, onclick: () => void ask(explainUrl(info), asked, explanation) }, "Explain");
  const run = (picture) => {
    asked = picture;
    explain.disabled = false;
    void ask(runUrl(info), picture, answerOf);
  };
  const empty = () => {
    explain.disabled = true;
    forget();
  };

  const preview = h("canvas", { class: "preview", hidden: true });
  const chosen = h("p", { class: "hint", role: "status" });
  const take = async (file) => {
    if (!file) return;
    chosen.textContent = file.name;
    run(file);
    try {
      const bitmap = await createImageBitmap(file);
      if (file !== asked) return;
      const scale = Math.min(1, 640 / Math.max(bitmap.width, bitmap.height));
      preview.width = Math.max(1, Math.round(bitmap.width * scale));
      preview.height = Math.max(1, Math.round(bitmap.height * scale));
      preview.getContext("2d").drawImage(bitmap, 0, 0, preview.width, preview.height);
      preview.toggleAttribute("data-small", Math.max(bitmap.width, bitmap.height) < 100);
      preview.hidden = false;
      code.update(/^\w[\w.-]*$/.test(file.name) ? file.name : "picture.png");
    } catch {
      if (file === asked) preview.hidden = true; // the server says why it is no picture
    }
  };
  const input = h("input", { type: "file", id: "picture", accept: "image/png,image/jpeg", onchange: () => void take(input.files[0]) });
  const drop = h("div", { class: "drop" }, h("label", { for: "picture" }, h("strong", {}, "Choose a picture"), " or drop it here"), input, preview, chosen);
  for (const name of ["dragenter", "dragover", "dragleave", "drop"]) {
    drop.addEventListener(name, (event) => {
      event.preventDefault();
      drop.toggleAttribute("data-over", name === "dragenter" || name === "dragover");
      if (name === "drop") void take(event.dataTransfer.files[0]);
    });
  }

  const cut = h("input", { type: "checkbox", id: "cut", checked: true, onchange: () => drawn() });
  const sheet = drawing(() => drawn());
  const drawn = () => {
    const picture = sheet.picture(cut.checked);
    if (picture) run(picture);
    else empty();
  };
  const ink = h("select", { id: "ink", onchange: () => { sheet.setInk(ink.value === "white"); empty(); } },
    h("option", { value: "white" }, "white on black"), h("option", { value: "black" }, "black on white"));
  const draw = h("div", { class: "drawing" }, sheet.element, h("div", { class: "tools" },
    h("div", { class: "field" }, h("label", { for: "ink" }, "Ink"), ink),
    h("div", { class: "check" }, cut, h("label", { for: "cut" }, "Cut out what is drawn")),
    h("button", { type: "button", onclick: () => { sheet.clear(); empty(); } }, "Clear")));

  const drawsFirst = info.labels?.length > 0 && info.labels.every((label) => [...label].length === 1);
  const show = (k) => [draw, drop].forEach((element, other) => (element.hidden = other !== k));
  const choices = choice("What to look at", ["Draw", "Picture"], drawsFirst ? 0 : 1, show);
  show(drawsFirst ? 0 : 1);
  return h("div", { class: "try" }, h("form", { class: "form", onsubmit: (event) => event.preventDefault() }, choices, draw, drop, info.task === "image-classification" ? h("div", { class: "buttons" }, explain) : null), area.element, code.element);
}

function textForm(info) {
  const area = answerArea();
  const { ask, forget } = asking(area);
  const code = codeArea(info, "text");
  const text = h("textarea", { id: "text", rows: "3", placeholder: "Type something, then press Enter", spellcheck: "false" });
  const send = (url, show) => {
    if (!text.value.trim()) {
      forget();
      area.fail("Type something first.");
      return text.focus();
    }
    void ask(url, text.value, show);
  };
  const run = () => send(runUrl(info), answerOf);
  const explain = h("button", { type: "button", onclick: () => send(explainUrl(info), explanation) }, "Explain");
  const update = () => code.update(text.value || "a sentence");
  text.addEventListener("input", update);
  text.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    run();
  });
  update();
  const form = h("form", { class: "form", onsubmit: (event) => { event.preventDefault(); run(); } },
    h("label", { for: "text" }, "Text"), text, h("div", { class: "buttons" }, h("button", { class: "main" }, "Run"), info.task === "text-classification" ? explain : null));
  return h("div", { class: "try" }, form, area.element, code.element);
}

/** The k-th number of an example, within the bounds: of floats all kinds, of others the smallest. */
function made(datatype, k, minimum, maximum) {
  if (datatype === "BOOL") return false;
  const least = minimum ?? Math.min(0, maximum ?? 0);
  if (!/^(FP|BF)/.test(datatype)) return least;
  return Number((least + (((k * 37) % 101) / 100) * Math.min(1, (maximum ?? least + 1) - least)).toFixed(2));
}

/** A request with the smallest inputs that the signature allows. */
function example(info) {
  const inputs = info.signature.inputs.map(({ name, datatype, shape, minimum, maximum }) => {
    const sizes = shape.map((size) => (typeof size === "number" ? size : 1));
    const numbers = sizes.reduce((product, size) => product * size, 1);
    return { name, shape: sizes, datatype, data: Array.from({ length: Math.min(numbers, MOST_NUMBERS) }, (_, k) => made(datatype, k, minimum, maximum)) };
  });
  const rows = inputs.map((one) => `  ${JSON.stringify(one).replaceAll(",", ", ").replaceAll(":", ": ")}`);
  return `{"inputs": [\n${rows.join(",\n")}\n]}`;
}

function tensorForm(info) {
  const area = answerArea();
  const { ask } = asking(area);
  const code = codeArea(info, "tensor");
  code.update();
  const wanted = (info.signature.inputs ?? []).map(({ name, datatype, shape }) => `${name}: ${dtype(datatype)} [${shape.join(", ")}]`);
  const text = h("textarea", { id: "request", rows: "8", class: "source", spellcheck: "false" });
  text.value = example(info);
  const run = () => {
    try {
      JSON.parse(text.value);
    } catch (problem) {
      return area.fail(`This is not JSON: ${problem.message}.`);
    }
    void ask(`/v2/models/${encodeURIComponent(info.name)}/infer`, text.value, (answer) => tensors(answer.outputs));
  };
  const file = h("input", { type: "file", id: "tensors", accept: ".npy,.safetensors,.json", onchange: () => file.files[0] && void ask(runUrl(info), file.files[0], answerOf) });
  const form = h("form", { class: "form", onsubmit: (event) => { event.preventDefault(); run(); } },
    h("label", { for: "request" }, "Request"), text,
    h("p", { class: "hint" }, wanted.length ? `Takes ${wanted.join("; ")}.` : "The program does not say what it takes."),
    h("div", { class: "buttons" }, h("button", { class: "main" }, "Run"), h("label", { for: "tensors" }, "or a file: .npy, .safetensors"), file));
  return h("div", { class: "try" }, form, area.element, code.element);
}
