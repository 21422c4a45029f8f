// A conversation: its turns, what is said next, and the answer as it comes.

import { codeArea } from "./code.js";
import { h } from "./dom.js";
import { sliders } from "./sliders.js";
import { writer } from "./writer.js";

const NEAR_THE_END = 40; // pixels, within which a list follows what comes
const SPEAKERS = { user: "You", assistant: "Model" };

function turn(role) {
  const said = h("p", { class: "said" });
  return { role, said, element: h("li", { class: "turn", "data-role": role }, h("p", { class: "who" }, SPEAKERS[role]), said) };
}

export function chatForm(info) {
  let turns = [];
  const list = h("ol", { class: "turns", tabindex: "0", "aria-label": "Conversation", hidden: true });
  const failure = h("p", { class: "failure", role: "alert", hidden: true });
  const fail = (text) => {
    failure.textContent = text;
    failure.hidden = !text;
  };
  const takesSystem = info.chat_roles.includes("system");
  const system = h("textarea", { id: "system", rows: "2", spellcheck: "false", placeholder: "What the model should know beforehand; may stay empty" });
  const message = h("textarea", { id: "message", rows: "2", spellcheck: "false", placeholder: "Say something, then press Enter" });

  /** What is sent: without a new message, what was sent last. */
  const messages = () => {
    const said = turns.map((one) => ({ role: one.role, content: one.said.textContent }));
    const next = message.value.trim() || !said.length ? [{ role: "user", content: message.value.trim() || "Hello!" }] : [];
    if (!next.length) said.splice(said.findLastIndex(({ role }) => role === "user") + 1);
    const before = takesSystem && system.value.trim() ? [{ role: "system", content: system.value.trim() }] : [];
    return [...before, ...said, ...next];
  };
  const code = codeArea(info, "chat");
  const update = () => code.update(messages(), how.options());
  const how = sliders(info, () => update());
  for (const input of [system, message]) input.addEventListener("input", update);
  update();

  const { write, forget, stop, status } = writer();
  const again = h("button", { type: "button", disabled: true, onclick: () => begin() }, "Begin again");
  const show = () => {
    list.replaceChildren(...turns.map(({ element }) => element));
    list.hidden = !turns.length;
    again.disabled = !turns.length;
  };
  function begin() {
    turns = [];
    forget();
    button.disabled = false;
    show();
    fail("");
    update();
    message.focus();
  }

  async function say() {
    const text = message.value.trim();
    if (!text) {
      fail("Say something first.");
      return message.focus();
    }
    const own = turns;
    const asked = turn("user");
    const answer = turn("assistant");
    const body = { model: info.name, messages: messages(), stream: true, ...how.options() };
    asked.said.textContent = text;
    answer.said.classList.add("written");
    answer.element.setAttribute("aria-busy", "true");
    turns.push(asked, answer);
    message.value = "";
    button.disabled = true;
    fail("");
    show();
    list.scrollTop = list.scrollHeight;
    const done = await write("/v1/chat/completions", body, answer.said, ({ choices: [choice] }) => {
      const follows = list.scrollHeight - list.scrollTop - list.clientHeight < NEAR_THE_END;
      if (follows) requestAnimationFrame(() => (list.scrollTop = list.scrollHeight));
      return { text: choice?.delta.content, reason: choice?.finish_reason };
    });
    if (own !== turns) return; // begun again meanwhile
    button.disabled = false;
    answer.element.removeAttribute("aria-busy");
    // What was not answered is not part of the conversation: it can be said in other words.
    if (done.failure || (done.reason === "cancelled" && !answer.said.textContent)) {
      turns.splice(-2);
      message.value ||= text;
      fail(done.failure ?? "");
      show();
    }
    update();
  }

  const button = h("button", { class: "main" }, "Send");
  const form = h("form", { class: "form", onsubmit: (event) => { event.preventDefault(); if (!button.disabled) void say(); } },
    takesSystem ? [h("label", { for: "system" }, "System message"), system] : null,
    list, failure, h("label", { for: "message" }, "Message"), message,
    h("div", { class: "buttons" }, button, stop, again), status, how.element);
  message.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    form.requestSubmit();
  });
  return h("div", { class: "try chat" }, form, code.element);
}
