--- The page of app:docs: reads openapi.json beside it, lists what there is, and sends
--- requests. Nothing is loaded from elsewhere, and nothing is inline, so that strict
--- policies (luaserve.helmet) let it work.
local M = {}

M.html = [[
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<link rel="icon" href="{base}/icon.svg">
<link rel="stylesheet" href="{base}/docs.css">
</head>
<body data-base="{base}">
<header><h1>{title}</h1><p id="about"></p><a href="{base}/openapi.json">openapi.json</a></header>
<main id="operations"><p>Loading…</p></main>
<script src="{base}/docs.js"></script>
</body>
</html>
]]

M.icon = [[
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><rect width="32" height="32" rx="6" fill="#1769aa"/>
<path d="M11 8q-4 0-4 8t4 8M21 8q4 0 4 8t-4 8" fill="none" stroke="#fff" stroke-width="3"/></svg>
]]

M.style = [[
:root { color-scheme: light dark; --line: #8884; --get: #1769aa; --post: #2e7d32; --put: #b26a00; --delete: #c62828; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 56rem; margin: 0 auto; padding: 1rem; }
header { border-bottom: 1px solid var(--line); margin-bottom: 1.5rem; padding-bottom: 1rem; }
h1 { margin: 0; } h2 { font-size: 1.1rem; margin: 2rem 0 .5rem; }
details { border: 1px solid var(--line); border-radius: .5rem; margin: .5rem 0; }
summary { cursor: pointer; padding: .6rem .8rem; overflow-wrap: anywhere; }
details[open] > summary { border-bottom: 1px solid var(--line); }
form { padding: .8rem; display: grid; gap: .6rem; }
b { display: inline-block; min-width: 4.2rem; color: #fff; background: #607d8b; border-radius: .3rem; text-align: center;
  font-size: .8rem; padding: .1rem .3rem; margin-right: .5rem; }
.get { background: var(--get); } .post { background: var(--post); } .put, .patch { background: var(--put); }
.delete { background: var(--delete); }
code, pre, textarea, input { font: 14px/1.4 ui-monospace, monospace; }
label { display: grid; grid-template-columns: minmax(8rem, 14rem) 1fr; gap: .6rem; align-items: center; }
label small { display: block; opacity: .7; font-family: system-ui, sans-serif; }
input, textarea { padding: .4rem; border: 1px solid var(--line); border-radius: .3rem; width: 100%; box-sizing: border-box; }
textarea { min-height: 8rem; }
button { justify-self: start; padding: .4rem 1.2rem; border: 0; border-radius: .3rem; background: var(--get); color: #fff;
  font: inherit; cursor: pointer; }
pre { background: #8881; border-radius: .3rem; padding: .6rem; margin: 0; overflow: auto; white-space: pre-wrap; }
table { border-collapse: collapse; width: 100%; } td { padding: .2rem .6rem .2rem 0; vertical-align: top; }
]]

M.script = [[
"use strict";
const base = document.body.dataset.base;

function make(tag, props, ...children) {
  const element = Object.assign(document.createElement(tag), props);
  element.append(...children.filter((child) => child !== undefined && child !== null));
  return element;
}

// A value that fits a schema, to begin with.
function example(schema) {
  if (!schema) return null;
  if (schema.examples) return schema.examples[0];
  if (schema.default !== undefined) return schema.default;
  if (schema.enum) return schema.enum[0];
  const type = Array.isArray(schema.type) ? schema.type[0] : schema.type;
  if (type === "object") {
    return Object.fromEntries(Object.entries(schema.properties || {}).map(([name, one]) => [name, example(one)]));
  }
  if (type === "array") return [example(schema.items)];
  if (type === "integer" || type === "number") return schema.minimum ?? 0;
  if (type === "boolean") return false;
  const formats = { email: "kim@example.com", date: "2026-01-31", "date-time": "2026-01-31T12:00:00Z",
    uri: "https://example.com/", uuid: "123e4567-e89b-12d3-a456-426614174000" };
  return formats[schema.format] || (type === "string" ? "text" : null);
}

function describe(schema) {
  const limits = ["format", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "minLength", "maxLength",
    "pattern"];
  const words = [[].concat(schema.type || "any").join(" or ")];
  for (const name of limits) if (schema[name] !== undefined) words.push(name + " " + schema[name]);
  if (schema.enum) words.push("one of " + schema.enum.join(", "));
  return words.join(", ");
}

function field(parameter) {
  const input = make("input", { required: parameter.required, placeholder: parameter.in });
  if (parameter.schema.default !== undefined) input.value = parameter.schema.default;
  input.dataset.name = parameter.name;
  input.dataset.in = parameter.in;
  const text = make("span", {}, make("code", { textContent: parameter.name + (parameter.required ? " *" : "") }),
    make("small", { textContent: [parameter.description, describe(parameter.schema)].filter(Boolean).join(" · ") }));
  return make("label", {}, text, input);
}

async function ask(method, path, form, output) {
  const query = new URLSearchParams(), headers = {};
  for (const input of form.querySelectorAll("input")) {
    const { name, in: place } = input.dataset;
    if (place === "path") path = path.replace("{" + name + "}", encodeURIComponent(input.value));
    else if (input.value !== "" && place === "query") query.append(name, input.value);
    else if (input.value !== "") headers[name] = input.value;
  }
  const body = form.querySelector("textarea");
  if (body) headers["content-type"] = "application/json";
  const url = path + (query.size ? "?" + query : "");
  output.textContent = "…";
  try {
    const started = performance.now();
    const response = await fetch(url, { method, headers, body: body ? body.value : undefined });
    let text = await response.text();
    try { text = JSON.stringify(JSON.parse(text), null, 2); } catch { /* no JSON */ }
    const took = Math.round(performance.now() - started);
    output.textContent = `${method} ${url}\n${response.status} ${response.statusText} (${took} ms)\n\n${text}`;
  } catch (error) {
    output.textContent = String(error);
  }
}

function operation(method, path, about) {
  const form = make("form", {});
  if (about.description) form.append(make("p", { textContent: about.description }));
  for (const parameter of about.parameters || []) form.append(field(parameter));
  const content = about.requestBody && about.requestBody.content["application/json"];
  if (content) {
    form.append(make("textarea", { value: JSON.stringify(example(content.schema), null, 2), spellcheck: false,
      ariaLabel: "body" }));
  }
  const output = make("pre", { hidden: true });
  const answers = make("table", {});
  for (const [status, one] of Object.entries(about.responses)) {
    answers.append(make("tr", {}, make("td", {}, make("code", { textContent: status })),
      make("td", { textContent: one.description })));
  }
  form.append(answers, make("button", { textContent: "Send" }), output);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    output.hidden = false;
    ask(method.toUpperCase(), path, form, output);
  });
  return make("details", {}, make("summary", {}, make("b", { className: method, textContent: method.toUpperCase() }),
    make("code", { textContent: path }), about.summary ? " " + about.summary : ""), form);
}

async function show() {
  const main = document.getElementById("operations");
  const api = await (await fetch(base + "/openapi.json")).json();
  document.getElementById("about").textContent = [api.info.version, api.info.description].filter(Boolean).join(" · ");
  const groups = new Map();
  for (const [path, methods] of Object.entries(api.paths)) {
    for (const [method, about] of Object.entries(methods)) {
      const tag = (about.tags || [""])[0];
      if (!groups.has(tag)) groups.set(tag, []);
      groups.get(tag).push(operation(method, path, about));
    }
  }
  main.replaceChildren(...[...groups].flatMap(([tag, list]) => [tag ? make("h2", { textContent: tag }) : "", ...list]));
}

show().catch((error) => { document.getElementById("operations").textContent = String(error); });
]]

return M
