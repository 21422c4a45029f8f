// A text as it comes, part by part, and the button that ends it.

import { capital, duration, h, sentence, unreachable } from "./dom.js";
import { ask } from "./key.js";

class Failure extends Error {}

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
      if (part.startsWith("data: ") && part !== "data: [DONE]") yield JSON.parse(part.slice(6));
    }
  }
}

/** One text at a time: a new one ends the one before. */
export function writer() {
  let running = null; // an AbortController
  const status = h("p", { class: "hint", role: "status" });
  const stop = h("button", { type: "button", disabled: true, onclick: () => running?.abort() }, "Stop");
  const forget = () => {
    running?.abort();
    running = null;
    stop.disabled = true;
    status.textContent = "";
  };

  /**
   * Appends to `written` what `read` makes of each event, {text, reason}. Gives {reason}, {failure} with a sentence, or
   * null where the text was forgotten or another has begun meanwhile.
   */
  async function write(url, body, written, read) {
    forget();
    const own = (running = new AbortController());
    const begun = performance.now();
    stop.disabled = false;
    status.textContent = "Writing …";
    let reason = "stop";
    let failure = null;
    try {
      const reply = await ask(url, { method: "POST", body: JSON.stringify(body), signal: own.signal });
      if (!reply.ok) throw new Failure(await sentence(reply));
      for await (const event of events(reply)) {
        if (event.error) throw new Failure(capital(event.error.message ?? event.error));
        const part = read(event);
        written.append(part.text ?? "");
        reason = part.reason ?? reason;
      }
    } catch (problem) {
      reason = "cancelled";
      if (problem instanceof Failure) failure = problem.message;
      else if (problem.name !== "AbortError") failure = unreachable;
    }
    if (own !== running) return null;
    running = null;
    stop.disabled = true;
    const how = { stop: "The text is at its end", length: "The length is reached", cancelled: "Ended early" }[reason] ?? reason;
    const length = written.textContent.length;
    status.textContent = failure ? "" : `${how}: ${length.toLocaleString("en")} characters in ${duration((performance.now() - begun) / 1000)}.`;
    return failure ? { failure } : { reason };
  }
  return { write, forget, stop, status };
}
