// Elements from data, and numbers as people write them.

/** Properties that begin with "on" are listeners; "class", "data-…" and "aria-…" are attributes; null leaves one out. */
export function h(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined));
  return element;
}

/** Radio buttons in a row; `change` gets the number of the one that is taken. */
export function choice(legend, names, chosen, change) {
  const buttons = names.map((name, k) => {
    const radio = h("input", { type: "radio", name: "source", id: `source-${k}`, checked: k === chosen, onchange: () => change(k) });
    return h("span", {}, radio, h("label", { for: `source-${k}` }, name));
  });
  return h("fieldset", { class: "choice" }, h("legend", {}, legend), buttons);
}

const counts = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });
export const count = (value) => counts.format(value).replace("K", "k");

export function bytes(value) {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let unit = 0;
  for (; value >= 1000 && unit < units.length - 1; ++unit) value /= 1000;
  return `${value >= 100 || unit === 0 ? Math.round(value) : value.toPrecision(2)} ${units[unit]}`;
}

export function duration(seconds) {
  if (seconds < 1e-3) return `${Math.round(seconds * 1e6)} µs`;
  if (seconds < 1) return `${(seconds * 1e3).toPrecision(seconds < 0.1 ? 2 : 3)} ms`;
  return `${seconds.toPrecision(3)} s`;
}

export const percent = (value) => `${(100 * value).toFixed(2)} %`;

/** "held_out_accuracy" to "Held-out accuracy". */
export function words(name) {
  const text = name.replaceAll("held_out", "held-out").replaceAll("_", " ").replace(/\bf1\b/, "F1");
  return text.charAt(0).toUpperCase() + text.slice(1);
}

/** A rate is a share, other metrics are numbers. */
export function metric(name, value) {
  if (/accuracy|error_rate|recall|precision/.test(name) && value >= 0 && value <= 1) return percent(value);
  return Number.isInteger(value) ? value.toLocaleString("en") : String(Number(value.toPrecision(4)));
}

/** The protocol's name of a dtype as NumPy has it: "FP32" to "float32". */
export function dtype(datatype) {
  const known = { FP16: "float16", FP32: "float32", FP64: "float64", BF16: "bfloat16" };
  return known[datatype] ?? datatype.toLowerCase();
}

/** What a reply that is no answer says, in a sentence. */
export async function sentence(reply) {
  const body = await reply.text();
  try {
    const { error } = JSON.parse(body);
    const text = error?.message ?? error; // OpenAI's routes have it within
    if (typeof text === "string") return capital(text);
  } catch {
    // not one of the server's own errors
  }
  return `The server answered ${reply.status} ${reply.statusText}.`;
}

export function capital(text) {
  // The server calls what it was sent "body" or "messages"; any other word before a colon is a name.
  const plain = text.replace(/^body: not /, "this is not ").replace(/^(body|messages): /, "");
  const whole = /^\S+:/.test(plain) ? plain : plain.charAt(0).toUpperCase() + plain.slice(1);
  return /[.!?]$/.test(whole) ? whole : `${whole}.`;
}

export const unreachable = "The server does not answer. Is it still running?";
