"use strict";
// Trying operations: what is read works without this.

const server = document.body.dataset.server;
const authorization = document.querySelector("#authorization input");

for (const hidden of document.querySelectorAll("[hidden]:not(output)")) hidden.hidden = false;

// A link to an operation or a schema opens it.
function open() {
  const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (target instanceof HTMLDetailsElement) target.open = true;
}
addEventListener("hashchange", open);
open();

function values(form, where) {
  const found = [];
  for (const field of form.querySelectorAll(`[data-in="${where}"]`)) {
    if (field.type === "file") {
      for (const file of field.files) found.push([field.dataset.name, file]);
    } else if (field.tagName === "TEXTAREA") {
      for (const line of field.value.split("\n")) if (line) found.push([field.dataset.name, line]);
    } else if (field.value !== "") {
      found.push([field.dataset.name, field.value]);
    }
  }
  return found;
}

function request(form) {
  let path = form.dataset.path;
  for (const [name, value] of values(form, "path")) {
    path = path.replace(`{${name}}`, encodeURIComponent(value));
  }
  const query = new URLSearchParams(values(form, "query")).toString();
  const headers = new Headers(values(form, "header"));
  if (authorization.value) headers.set("authorization", authorization.value);
  const options = { method: form.dataset.method, headers };
  const body = form.querySelector(".body");
  if (body) {
    const type = body.dataset.type;
    if (type === "multipart/form-data") {
      options.body = new FormData();
      for (const [name, value] of values(form, "form")) options.body.append(name, value);
    } else if (type === "application/x-www-form-urlencoded") {
      options.body = new URLSearchParams(values(form, "form"));
    } else {
      options.body = body.value;
      headers.set("content-type", type);
    }
  }
  return [server + path + (query ? `?${query}` : ""), options];
}

async function send(form) {
  const output = form.querySelector("output");
  const shown = document.createElement("pre");
  const began = performance.now();
  try {
    const [url, options] = request(form);
    const answer = await fetch(url, options);
    let text = await answer.text();
    const took = Math.round(performance.now() - began);
    if ((answer.headers.get("content-type") || "").includes("json")) {
      try { text = JSON.stringify(JSON.parse(text), null, 2); } catch { /* shown as it came */ }
    }
    const fields = [...answer.headers].map(([name, value]) => `${name}: ${value}`).join("\n");
    shown.textContent =
      `${options.method} ${url}\n\n${answer.status} ${answer.statusText}, ${took} ms\n` +
      `${fields}\n\n${text}`;
  } catch (error) {
    shown.textContent = `The request failed: ${error.message}`;
  }
  output.replaceChildren(shown);
  output.hidden = false;
}

for (const form of document.querySelectorAll("form")) {
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    send(form);
  });
}
