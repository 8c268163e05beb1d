// Search through all turns of all rollouts, a slice at a time so that the page goes on answering.

const AT_MOST = 300, AROUND = 60, SLICE = 12;

/** All that can be found of a rollout, a text for each turn and one for the patch. */
const searchable = new Map();
function texts(index) {
  if (!searchable.has(index)) {
    const { turns, patch } = rollout(index);
    const words = (turn) => [turn.name ?? "", turn.text, ...turn.calls.flatMap((call) => [call.name, ...call.arguments.flat()])].join("\n");
    searchable.set(index, [...turns.map(words), patch].map((text) => [text, text.toLowerCase()]));
  }
  return searchable.get(index);
}

class Search {
  constructor(page) {
    this.page = page;
    this.hits = [];
    this.at = -1;
    this.run = 0;
    byId("query").addEventListener("input", () => this.find(byId("query").value));
  }

  async find(query) {
    const run = (this.run += 1);
    const wanted = query.toLowerCase();
    [this.hits, this.at] = [[], -1];
    const place = byId("found");
    place.replaceChildren();
    place.hidden = wanted === "";
    if (wanted === "") return;
    const told = element("p", { class: "quiet", role: "status" }, "Searching …");
    place.append(told);
    let total = 0;
    let rest = performance.now() + SLICE;
    for (let index = 0; index < this.page.index.rollouts.length; index += 1) {
      for (const [turn, [text, lower]] of texts(index).entries()) {
        const at = lower.indexOf(wanted);
        if (at < 0) continue;
        total += 1;
        if (this.hits.length < AT_MOST) place.append(this.hit(index, turn, text, at, query.length));
      }
      if (performance.now() > rest) {
        await new Promise((done) => setTimeout(done));
        if (run !== this.run) return;
        rest = performance.now() + SLICE;
      }
    }
    const shown = total > this.hits.length ? `, the first ${count(this.hits.length)} of them here` : "";
    told.textContent = `${count(total)} turns${shown}`;
    told.dataset.done = String(total);
  }

  hit(index, turn, text, at, length) {
    const number = this.hits.length;
    const from = Math.max(0, at - AROUND);
    const name = `${this.page.index.rollouts[index].id} · ${turn === texts(index).length - 1 ? "patch" : `message ${turn}`}`;
    const button = element("button", { type: "button", onclick: () => this.open(number) },
      element("div", { class: "quiet" }, name),
      text.slice(from, at), element("mark", null, text.slice(at, at + length)), text.slice(at + length, at + length + AROUND));
    this.hits.push({ index, turn, button });
    return button;
  }

  open(number) {
    if (this.hits.length === 0) return;
    this.hits[this.at]?.button.removeAttribute("aria-current");
    this.at = (number + this.hits.length) % this.hits.length;
    const { index, turn, button } = this.hits[this.at];
    button.setAttribute("aria-current", "true");
    button.scrollIntoView({ block: "nearest" });
    this.page.open(index, turn);
  }

  next(by) {
    this.open(this.at < 0 && by < 0 ? -1 : this.at + by);
  }

  leave() {
    byId("query").value = "";
    byId("query").blur();
    this.find("");
  }
}
