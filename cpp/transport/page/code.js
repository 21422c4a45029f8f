// The lines that do the same from a shell, from Python and from C++.

import { dtype, h } from "./dom.js";
import { hasKey } from "./key.js";

const shell = (text) => `'${text.replaceAll("'", `'\\''`)}'`;
const python = (text) => JSON.stringify(text);
const cpp = (text) => JSON.stringify(text);

function forFile(info, file) {
  const url = `${location.origin}/v1/models/${info.name}:run`;
  return {
    curl: `curl --data-binary @${file} ${url}`,
    Python: `import portfire\n\nmodel = portfire.load("models/${info.name}")\nanswer = model.run("${file}")\nprint(answer.label, answer.probability)`,
    "C++": `#include <iostream>\n#include <portfire/model.h>\n\nint main() {\n  const auto model = portfire::Model::load("models/${info.name}");\n  std::cout << model.run(portfire::Input::file("${file}")).to_json() << '\\n';\n}`,
  };
}

function forText(info, text) {
  return {
    curl: `curl --data-raw ${shell(text)} ${location.origin}/v1/models/${info.name}:run`,
    Python: `import portfire\n\nmodel = portfire.load("models/${info.name}")\nanswer = model.run(${python(text)})\nprint(answer.label, answer.probability)`,
    "C++": `#include <iostream>\n#include <portfire/model.h>\n\nint main() {\n  const auto model = portfire::Model::load("models/${info.name}");\n  std::cout << model.run(portfire::Input::text(${cpp(text)})).to_json() << '\\n';\n}`,
  };
}

function forWriting(info, prompt, options) {
  const { max_tokens, ...others } = options;
  const own = { max_new_tokens: max_tokens, ...others };
  const body = JSON.stringify({ text_input: prompt, parameters: options });
  const named = Object.entries(own).map(([name, value]) => `${name}=${value}`).join(", ");
  const fields = Object.entries(own).map(([name, value]) => `  options.${name} = ${value};`).join("\n");
  return {
    curl: `curl --no-buffer --data ${shell(body)} \\\n  ${location.origin}/v2/models/${info.name}/generate_stream`,
    Python: `import portfire\n\nmodel = portfire.load("models/${info.name}")\nfor part in model.stream(${python(prompt)}, ${named}):\n    print(part, end="", flush=True)`,
    "C++": `#include <iostream>\n#include <portfire/model.h>\n\nint main() {\n  const auto model = portfire::Model::load("models/${info.name}");\n  portfire::GenerateOptions options;\n${fields}\n  auto text = model.stream(portfire::Input::text(${cpp(prompt)}), options);\n  while (const auto part = text.next()) std::cout << *part << std::flush;\n}`,
  };
}

function forChat(info, messages, options) {
  const { max_tokens, top_k, ...others } = options;
  const body = JSON.stringify({ model: info.name, messages, stream: true, ...options });
  const key = hasKey() ? 'os.environ["PORTFIRE_KEY"]' : '"none"';
  const named = Object.entries({ max_tokens, ...others }).map(([name, value]) => `${name}=${value}`).join(", ");
  const fields = Object.entries({ max_new_tokens: max_tokens, top_k, ...others }).map(([name, value]) => `  options.${name} = ${value};`).join("\n");
  const said = (spelt) => messages.map(({ role, content }) => `    ${spelt(role, content)},`).join("\n");
  return {
    curl: `curl --no-buffer --data ${shell(body)} \\\n  ${location.origin}/v1/chat/completions`,
    Python: `${hasKey() ? "import os\n\n" : ""}from openai import OpenAI\n\nclient = OpenAI(base_url="${location.origin}/v1", api_key=${key})\nmessages = [\n${said((role, content) => `{"role": "${role}", "content": ${python(content)}}`)}\n]\nanswer = client.chat.completions.create(\n    model=${python(info.name)}, messages=messages, stream=True,\n    ${named}, extra_body={"top_k": ${top_k}},\n)\nfor event in answer:\n    print(event.choices[0].delta.content or "", end="", flush=True)`,
    "C++": `#include <iostream>\n#include <portfire/chat.h>\n\nint main() {\n  const auto model = portfire::Model::load("models/${info.name}");\n  portfire::GenerateOptions options;\n${fields}\n  const std::vector<portfire::ChatMessage> messages{\n${said((role, content) => `{"${role}", ${cpp(content)}}`)}\n  };\n  auto answer = portfire::chat_stream(model, messages, options);\n  while (const auto part = answer.next()) std::cout << *part << std::flush;\n}`,
  };
}

function forTensors(info) {
  const inputs = info.signature.inputs;
  const shape = (spec) => spec.shape.map((size) => (typeof size === "number" ? size : 1)).join(", ");
  const numpy = (spec) => `np.zeros((${shape(spec)}${spec.shape.length === 1 ? "," : ""}), "${dtype(spec.datatype)}")`;
  const names = inputs.map((spec) => spec.name);
  return {
    curl: `curl --data @request.json ${location.origin}/v2/models/${info.name}/infer`,
    Python: `import numpy as np\nimport portfire\n\nmodel = portfire.load("models/${info.name}")\noutput = model.forward(${inputs.map(numpy).join(", ")})`,
    "C++": `#include <portfire/codecs.h>\n#include <portfire/model.h>\n\nint main() {\n  const auto model = portfire::Model::load("models/${info.name}");\n  // ${names.join(", ")}: tensors by name, from a .npy, .safetensors or JSON file\n  const auto answer = model.run(portfire::Input::file("x.npy"));\n  return answer.tensors().outputs.empty();\n}`,
  };
}

/** A panel with the three, and buttons to copy them. `update` takes what the form holds. */
export function codeArea(info, kind) {
  const makers = { image: (file) => forFile(info, file ?? "picture.png"), text: (text) => forText(info, text), writing: (prompt, options) => forWriting(info, prompt, options), chat: (messages, options) => forChat(info, messages, options), tensor: () => forTensors(info) };
  const boxes = new Map();
  const sections = ["curl", "Python", "C++"].map((name) => {
    const text = h("code", {});
    boxes.set(name, text);
    const copy = h("button", { type: "button", class: "quiet", "aria-label": `Copy the ${name} lines`, onclick: () => void copied(copy, text.textContent) }, "Copy");
    return h("details", { open: name === "curl" }, h("summary", {}, name), h("div", { class: "code" }, h("pre", { tabindex: "0" }, text), copy));
  });
  const element = h("section", { class: "same" }, h("h3", {}, "The same without this page"), sections);
  const update = (...values) => {
    const lines = makers[kind](...values);
    if (hasKey()) lines.curl = lines.curl.replace("curl", 'curl -H "Authorization: Bearer $PORTFIRE_KEY"');
    for (const [name, text] of Object.entries(lines)) boxes.get(name).textContent = text;
  };
  return { element, update };
}

async function copied(button, text) {
  try {
    await navigator.clipboard.writeText(text);
    button.textContent = "Copied";
  } catch {
    button.textContent = "Copying is not allowed here";
  }
  setTimeout(() => (button.textContent = "Copy"), 2000);
}
