// The list of models, what they do at the moment, and which of them is open.

import { bytes, count, duration, h, metric, sentence, unreachable, words } from "./dom.js";
import { formFor } from "./forms.js";
import { ask, forgetKey, hasKey, keyForm } from "./key.js";

const EVERY = 2000; // milliseconds between looks at the server
const list = document.getElementById("models");
const panel = document.getElementById("panel");
const health = document.getElementById("health");
const metrics = document.getElementById("metrics");
const forget = document.getElementById("forget");

const cards = new Map(); // name -> {element, parts}
const infos = new Map(); // name -> {version, info}
let before = null; // the last state and when it came
let open = null; // {name, version, state} of the panel
let waitsForKey = false;

/** "#/NAME" opens a model; any other fragment leaves open what is. */
function chosen() {
  if (!location.hash.startsWith("#/")) return open?.name;
  try {
    return decodeURIComponent(location.hash.slice(2));
  } catch {
    return undefined;
  }
}

/** Of several versions of a model the newest that answers, else the newest. */
function newest(models) {
  const all = new Map();
  for (const model of models) {
    const known = all.get(model.name);
    if (!known || model.answers || !known.answers) all.set(model.name, model);
  }
  return all;
}

/** The bound below which half of the latest answers lie. */
function median(latencies, bounds) {
  const all = latencies.reduce((sum, one) => sum + one, 0);
  let seen = 0;
  for (let k = 0; k < latencies.length; ++k) {
    seen += latencies[k];
    if (2 * seen >= all) return bounds[Math.min(k, bounds.length - 1)];
  }
  return 0;
}

/** What a model has done since the look before, in words. */
function doing(model, old, passed, bounds) {
  const now = model.counters;
  if (!now) return "";
  if (now.texts && (now.texts.writing || now.texts.waiting)) {
    const speed = old?.texts ? Math.max(0, now.texts.steps - old.texts.steps) / passed : 0;
    const waiting = now.texts.waiting ? `, ${now.texts.waiting} waiting` : "";
    return `writing ${now.texts.writing}${waiting} · ${speed.toFixed(0)} steps/s`;
  }
  const answered = old && now.answered >= old.answered ? now.answered - old.answered : 0;
  if (answered) {
    const latencies = now.latencies.map((one, k) => one - old.latencies[k]);
    const rate = answered / passed;
    return `${rate >= 10 ? rate.toFixed(0) : rate.toFixed(1)}/s · half within ${duration(median(latencies, bounds))}`;
  }
  const done = now.answered + (now.texts?.finished ?? 0);
  if (!done) return "no requests yet";
  const mean = now.answered ? ` · ${duration(now.seconds / now.answered)} on average` : "";
  return `idle · ${count(done)} answered${mean}`;
}

function badge(model) {
  const text = model.answers && model.state !== "READY" ? "updating" : { READY: "ready", LOADING: "loading" }[model.state] ?? "not ready";
  return { text, kind: model.answers ? "good" : model.state === "LOADING" ? "busy" : "bad" };
}

function facts(info) {
  const all = [];
  const best = Object.entries(info.metrics ?? {}).find(([name]) => /accuracy|perplexity|loss/.test(name)) ?? Object.entries(info.metrics ?? {})[0];
  if (best) all.push(`${words(best[0])} ${metric(...best)}`);
  if (info.labels_count) all.push(`${info.labels_count} classes`);
  if (info.parameters) all.push(`${count(info.parameters)} parameters`);
  all.push(bytes(info.file_bytes));
  if (info.licence) all.push(info.licence);
  return all;
}

function makeCard(name) {
  const parts = { state: h("span", { class: "badge" }), task: h("p", { class: "task" }), about: h("p", { class: "about" }), facts: h("ul", { class: "facts" }), live: h("p", { class: "live" }) };
  const link = h("a", { href: `#/${encodeURIComponent(name)}` }, name);
  const element = h("li", { class: "card" }, h("h3", {}, link, parts.state), parts.task, parts.about, parts.facts, parts.live);
  return { element, link, parts };
}

/** Null where the server cannot say it now; the next look asks again. */
async function infoOf(model) {
  const known = infos.get(model.name);
  if (known?.version === model.version) return known.info;
  try {
    const reply = await ask(`/v1/models/${encodeURIComponent(model.name)}`);
    if (!reply.ok) return null;
    const info = await reply.json();
    infos.set(model.name, { version: info.version, info });
    return info;
  } catch {
    return null;
  }
}

async function fill(card, model) {
  const { text, kind } = badge(model);
  card.parts.state.textContent = text;
  card.parts.state.dataset.kind = kind;
  if (!model.answers) {
    card.parts.task.textContent = `version ${model.version}`;
    card.parts.about.textContent = model.reason;
    card.parts.facts.replaceChildren();
    return;
  }
  const info = await infoOf(model);
  if (!info || card.shown === info) return;
  card.shown = info;
  card.parts.task.textContent = `${words(info.task.replaceAll("-", " "))} · version ${info.version}`;
  card.parts.about.textContent = info.description;
  card.parts.facts.replaceChildren(...facts(info).map((fact) => h("li", {}, fact)));
}

function showAll(models, passed, old, bounds) {
  for (const [name, card] of cards) {
    if (models.has(name)) continue;
    card.element.remove();
    cards.delete(name);
    infos.delete(name);
  }
  for (const [name, model] of models) {
    let card = cards.get(name);
    if (!card) {
      card = makeCard(name);
      cards.set(name, card);
      const next = [...cards.keys()].sort().find((other) => other > name && cards.get(other).element.isConnected);
      list.insertBefore(card.element, next ? cards.get(next).element : null);
    }
    card.parts.live.textContent = doing(model, old.get(name)?.counters, passed, bounds);
    void fill(card, model);
  }
}

function say(text, kind) {
  if (health.textContent !== text) health.textContent = text;
  health.dataset.kind = kind;
}

function summary(state, models) {
  const ready = [...models.values()].filter((model) => model.answers).length;
  if (!models.size) return ["No models yet: put one into the folder that is served.", "busy"];
  const text = ready === models.size ? `${ready} ${ready === 1 ? "model" : "models"} ready` : `${ready} of ${models.size} models ready`;
  return [text, !state.ready ? "busy" : ready === models.size ? "good" : "bad"];
}

function details(info) {
  const rows = [["Task", words(info.task.replaceAll("-", " "))], ["Licence", info.licence || "not said"]];
  for (const [name, value] of Object.entries(info.metrics ?? {})) rows.push([words(name), metric(name, value)]);
  if (info.data?.name) rows.push(["Trained on", info.data.licence ? `${info.data.name} (${info.data.licence})` : info.data.name]);
  if (info.context) rows.push(["Context", `${info.context.toLocaleString("en")} tokens`]);
  rows.push(["Parameters", info.parameters.toLocaleString("en")], ["File", bytes(info.file_bytes)]);
  rows.push(["Runs on", `${info.engine}, ${info.precision}, ${info.device}`], ["Version", info.version]);
  return h("dl", { class: "details" }, rows.map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value))));
}

async function openPanel(models) {
  const model = models.get(chosen()) ?? [...models.values()].find((one) => one.answers) ?? models.values().next().value;
  for (const [name, card] of cards) {
    card.element.toggleAttribute("data-open", name === model?.name);
    if (name === model?.name) card.link.setAttribute("aria-current", "true");
    else card.link.removeAttribute("aria-current");
  }
  if (!model) {
    open = null;
    panel.replaceChildren(h("p", { class: "notice" }, "There is nothing to try yet. A model is a folder NAME/VERSION with a model.pt or model.pt2 in it."));
    return;
  }
  const state = model.answers ? "answers" : `${model.state} ${model.reason}`;
  if (open && open.name === model.name && open.state === state && (!model.answers || open.version === model.version)) return;
  open = { name: model.name, version: model.version, state };
  const title = h("h2", { class: "name" }, model.name);
  document.title = `${model.name} – Portfire`;
  if (!model.answers) {
    const why = model.state === "LOADING" ? "It is being loaded and checked." : `It cannot be used: ${model.reason || "it was unloaded"}.`;
    panel.replaceChildren(title, h("p", { class: "notice" }, why));
    return;
  }
  const info = await infoOf(model);
  if (open?.name !== model.name) return;
  if (!info) {
    open = null;
    return;
  }
  panel.replaceChildren(title, info.description ? h("p", { class: "lead" }, info.description) : "", formFor(info), h("h3", {}, "About this model"), details(info));
}

/** Shows nothing of the models until there is a key that the server knows. */
function askForKey() {
  waitsForKey = true;
  before = open = null;
  showAll(new Map());
  document.title = "Portfire";
  say("A key is needed", "busy");
  showLinks();
  const form = keyForm(async () => {
    waitsForKey = false;
    await look();
    panel.focus({ preventScroll: true });
  });
  panel.replaceChildren(form.element);
  form.focus();
}

/** A link cannot show a key. */
function showLinks() {
  metrics.hidden = waitsForKey || hasKey();
  forget.hidden = waitsForKey || !hasKey();
}

async function look() {
  if (waitsForKey) return;
  let state;
  try {
    const reply = await ask("/page/state");
    if (waitsForKey) return;
    if (reply.status === 401) return askForKey();
    showLinks();
    if (!reply.ok) return say(await sentence(reply), "bad");
    state = await reply.json();
  } catch {
    return say(unreachable, "bad");
  }
  if (waitsForKey) return;
  const now = performance.now();
  const models = newest(state.models);
  showAll(models, before ? Math.max(0.1, (now - before.at) / 1000) : 1, before?.models ?? new Map(), state.latency_bounds);
  before = { at: now, models };
  say(...summary(state, models));
  await openPanel(models);
}

async function keepLooking() {
  if (!document.hidden) await look();
  setTimeout(keepLooking, EVERY);
}

addEventListener("hashchange", async () => {
  if (!before || !location.hash.startsWith("#/")) return;
  await openPanel(before.models);
  const narrow = matchMedia("(max-width: 60rem)").matches;
  panel.focus({ preventScroll: !narrow });
  if (narrow) panel.scrollIntoView();
});
forget.addEventListener("click", () => {
  forgetKey();
  askForKey();
});
document.addEventListener("visibilitychange", () => void (document.hidden || look()));
void keepLooking();
