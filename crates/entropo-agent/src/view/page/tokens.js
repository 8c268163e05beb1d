// Tokens of a turn, coloured by one value of each.

/** What can colour tokens: the name on the page, and the array of a segment that has the values, in thousandths of a nat. */
const MEASURES = [
  ["", "as text"],
  ["mask", "action mask"],
  ["logprobs", "log-probability"],
  ["entropy", "entropy"],
  ["gap", "policy − reference"],
];
/** Nats from which on a colour is a level stronger. */
const LEVELS = [0.02, 0.1, 0.3, 0.7, 1.5, 3, 6];
const PROMPT_ENDS = 120;

const level = (value) => LEVELS.filter((bound) => Math.abs(value) >= bound).length;

function tokenClass(measure, isAction, value) {
  if (!isAction) return null;
  if (measure === "mask") return "act h4";
  if (value === null || value === undefined) return "act";
  return `act h${level(value)}${measure === "gap" && value < 0 ? " less" : ""}`;
}

/** The action of assistant turn `step`, and what the model read since its last one. */
function tokensOf(segments, step, measure) {
  for (const segment of segments) {
    let before = 0, actions = 0;
    for (const [turn, start, end] of segment.actions) {
      if (turn === step) return tokenBlock(segment, before, start, end, actions, measure);
      before = end;
      actions += end - start;
    }
  }
  return element("p", { class: "note" }, "No tokens of this turn were recorded.");
}

function tokenBlock(segment, from, start, end, offset, measure) {
  const values = measure === "mask" ? [] : segment[measure] ?? [];
  const one = (place) => {
    const isAction = place >= start;
    const raw = isAction ? values[offset + place - start] : null;
    const value = raw === null || raw === undefined ? null : raw / 1000;
    const told = value === null ? "" : `, ${value.toFixed(3)} nats`;
    const text = segment.text === null ? `${segment.ids[place]} ` : segment.text[place];
    return element("span", { class: tokenClass(measure, isAction, value), title: `token ${segment.ids[place]} at ${place}${told}` }, text);
  };
  const range = (low, high) => Array.from({ length: Math.max(0, high - low) }, (_, index) => one(low + index));
  const pre = element("pre", { class: "tokens" });
  if (start - from > 2 * PROMPT_ENDS) {
    const whole = () => pre.replaceChildren(...range(from, end));
    const hidden = start - from - 2 * PROMPT_ENDS;
    const more = element("button", { class: "more", type: "button", onclick: whole }, `… ${count(hidden)} tokens read, show all`);
    pre.append(...range(from, from + PROMPT_ENDS), more, ...range(start - PROMPT_ENDS, end));
  } else {
    pre.append(...range(from, end));
  }
  if (measure !== "mask" && values.length === 0) {
    return element("div", null, element("p", { class: "note" }, "These values are not in the page."), pre);
  }
  return pre;
}

/** What the colours mean. */
function legend(measure) {
  if (measure === "") return [];
  if (measure === "mask") return [element("span", { class: "h4" }, "written by the policy")];
  const bounds = LEVELS.map((bound, index) => element("span", { class: `h${index + 1}` }, String(bound)));
  const low = measure === "gap" ? LEVELS.map((bound, index) => element("span", { class: `h${index + 1} less` }, `−${bound}`)).reverse() : [];
  return [...low, ...bounds, " nats"];
}
