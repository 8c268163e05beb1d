"use strict";
// Pieces of the page. What a model wrote reaches the document as text nodes, made here, and in no other way.

const byId = (id) => document.getElementById(id);

/** Reads a data island. */
const island = (id) => JSON.parse(byId(id).textContent);

/** An element with attributes, listeners (`onclick`) and children; strings become text. */
function element(name, attributes, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else made.setAttribute(key, value === true ? "" : value);
  }
  made.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return made;
}

const HEAD = 30, TAIL = 12, LONG_LINES = 60, LONG = 8000;
const count = (number) => number.toLocaleString("en");

/** A `pre` of `text`; a long one begins as its head and tail. `paint` makes nodes of a text. */
function block(text, attributes, paint = (part) => [part]) {
  const pre = element("pre", attributes);
  const whole = () => pre.replaceChildren(...paint(text));
  const lines = text.split("\n");
  let head, tail, hidden;
  if (lines.length > LONG_LINES) {
    head = lines.slice(0, HEAD).join("\n");
    tail = lines.slice(-TAIL).join("\n");
    hidden = `${count(lines.length - HEAD - TAIL)} lines`;
  } else if (text.length <= LONG) {
    whole();
    return pre;
  }
  if (head === undefined || head.length + tail.length > LONG) {
    head = text.slice(0, LONG / 2);
    tail = text.slice(-LONG / 4);
    hidden = `${count(text.length - head.length - tail.length)} characters`;
  }
  pre.append(...paint(head), element("button", { class: "more", type: "button", onclick: whole }, `… ${hidden} more, show all`), ...paint(tail));
  return pre;
}

/** The lines of a patch by their kind. Inside a hunk only counting tells a removed `-- x` from the name of a file. */
function diffLines(text) {
  let left = 0, right = 0;
  return text.split("\n").map((line) => {
    const hunk = /^@@ -\d+(?:,(\d+))? \+\d+(?:,(\d+))? @@/.exec(line);
    let kind = null;
    if (hunk) {
      [left, right] = [Number(hunk[1] ?? 1), Number(hunk[2] ?? 1)];
      kind = "hunk";
    } else if (left > 0 || right > 0) {
      kind = { "+": "add", "-": "del" }[line[0]] ?? null;
      if (kind !== "add" && line[0] !== "\\") left -= 1;
      if (kind !== "del" && line[0] !== "\\") right -= 1;
    } else if (/^(diff |--- |\+\+\+ )/.test(line)) {
      kind = "file";
    }
    return [kind, line];
  });
}

/** A patch, coloured; a long one begins as its head and tail. */
function diff(text) {
  const lines = diffLines(text);
  const pre = element("pre", { class: "diff" });
  const paint = (part) => part.map(([kind, line]) => element("span", { class: kind }, line === "" ? " " : line.slice(0, LONG)));
  if (lines.length > 400) {
    const whole = () => pre.replaceChildren(...paint(lines));
    const more = element("button", { class: "more", type: "button", onclick: whole }, `… ${count(lines.length - 300)} lines more, show all`);
    pre.append(...paint(lines.slice(0, 200)), more, ...paint(lines.slice(-100)));
  } else {
    pre.append(...paint(lines));
  }
  return pre;
}

/** Terms and what they are; those without a value are left out. */
function facts(pairs) {
  const rows = pairs.filter(([, value]) => value !== null && value !== undefined && value !== "");
  return element("dl", { class: "facts" }, rows.map(([term, value]) => [element("dt", null, term), element("dd", null, value)]).flat());
}
