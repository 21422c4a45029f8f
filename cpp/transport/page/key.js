// The key that a server may ask for: kept until the tab is closed, and sent with all that is asked.

import { h, sentence, unreachable } from "./dom.js";

const STORED = "portfire-key";
let held = stored();

/** Where a browser keeps nothing, the key lasts until the page is left. */
function stored() {
  try {
    return sessionStorage.getItem(STORED);
  } catch {
    return null;
  }
}

function hold(key) {
  held = key;
  try {
    if (key === null) sessionStorage.removeItem(STORED);
    else sessionStorage.setItem(STORED, key);
  } catch {
    // kept here alone
  }
}

export const hasKey = () => held !== null;
export const forgetKey = () => hold(null);

const shown = (key) => (key === null ? {} : { Authorization: `Bearer ${key}` });

/** `fetch`, with the key. */
export const ask = (url, options = {}) => fetch(url, { ...options, headers: shown(held) });

/** Asks for a key until the server knows it, and then calls `known`. */
export function keyForm(known) {
  const failure = h("p", { class: "failure", role: "alert", hidden: true });
  const input = h("input", { type: "password", id: "key", autocomplete: "off", spellcheck: "false", "aria-describedby": "key-help" });
  const refuse = (why) => {
    failure.textContent = why;
    failure.hidden = false;
    input.select();
    input.focus();
  };
  const open = async () => {
    const key = input.value.trim();
    if (!key) return refuse("Type or paste a key first.");
    if (!/^[!-~]+$/.test(key)) return refuse("A key has no spaces and no letters but a to z; this one does.");
    let reply;
    try {
      reply = await fetch("/page/state", { headers: shown(key) });
    } catch {
      return refuse(unreachable);
    }
    if (reply.status === 401) return refuse("This server does not know that key.");
    if (!reply.ok) return refuse(await sentence(reply));
    hold(key);
    known();
  };
  const form = h("form", { class: "form key", onsubmit: (event) => { event.preventDefault(); void open(); } },
    h("h2", { class: "name" }, "A key is needed"),
    h("p", { class: "lead" }, "Whoever runs this server gives keys to those who may use it."),
    h("label", { for: "key" }, "Key"), input,
    h("p", { class: "hint", id: "key-help" }, "It is kept until this tab is closed, and sent to this server alone."),
    failure, h("div", { class: "buttons" }, h("button", { class: "main" }, "Open")));
  return { element: form, focus: () => input.focus() };
}
