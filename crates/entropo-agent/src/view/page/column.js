// One candidate: what it achieved, why it was or was not chosen, its turns and its patch.

/** What a rollout wrote, read from its island when it is first needed. */
const loaded = new Map();
function rollout(index) {
  if (!loaded.has(index)) loaded.set(index, island(`r${index}`));
  return loaded.get(index);
}

const loadedTokens = new Map();
function segments(index) {
  if (!loadedTokens.has(index)) loadedTokens.set(index, byId(`t${index}`) ? island(`t${index}`) : []);
  return loadedTokens.get(index);
}

class Column {
  constructor(page, index) {
    this.page = page;
    this.index = index;
    this.turn = 0;
    this.summary = page.index.rollouts[index];
    this.place = element("section", { class: "column", "aria-label": this.summary.id });
    this.place.addEventListener("mousedown", () => page.focusColumn(this));
  }

  /** Makes a place for every turn; a turn is filled when it comes near. */
  build() {
    if (this.turns) return;
    const { turns, patch } = rollout(this.index);
    this.data = [...turns, { role: "patch", text: patch }];
    this.turns = this.data.map((turn) => element("article", { class: `turn ${turn.role}` }));
    this.place.append(element("h2", null, this.page.heading(this.summary)), this.outcome(), ...this.turns);
    const places = new Map(this.turns.map((turn, index) => [turn, index]));
    this.near = new IntersectionObserver((seen) => {
      for (const { target, isIntersecting } of seen) if (isIntersecting) this.fill(places.get(target));
    }, { root: this.place, rootMargin: "800px 0px" });
    for (const turn of this.turns) {
      this.near.observe(turn);
      turn.addEventListener("click", () => this.mark(places.get(turn)));
    }
    this.mark(0);
  }

  outcome() {
    const { summary } = this;
    const decisions = this.page.decisions(summary).map(({ stage, kept, reason }) =>
      element("div", { class: kept ? null : "bad" }, `${kept ? "kept" : "dropped"} by ${stage}: ${reason}`));
    return facts([
      ["model", summary.model],
      ["seed", summary.seed],
      ["ended", summary.error ? `${summary.exit}: ${summary.error}` : summary.exit],
      ["reward", summary.reward === null ? "" : String(summary.reward)],
      ["scores", summary.scores.map(([name, value]) => `${name} ${value}`).join(", ")],
      ["used", summary.usage],
      ["selection", decisions.length > 0 ? element("div", null, decisions) : ""],
    ]);
  }

  fill(index) {
    const place = this.turns[index];
    if (!place || place.childNodes.length > 0) return;
    const turn = this.data[index];
    if (turn.role === "patch") {
      place.append(element("h3", null, "Patch"), turn.text === "" ? element("p", { class: "note" }, "Nothing was changed.") : diff(turn.text));
      return;
    }
    const number = turn.step === null ? "" : ` ${turn.step}`;
    place.append(element("h3", null, `${turn.role}${number}${turn.name ? ` · ${turn.name}` : ""}`));
    if (turn.note) place.append(element("p", { class: "note" }, turn.note));
    if (turn.text !== "") place.append(block(turn.text));
    for (const call of turn.calls) {
      const given = call.arguments.map(([key, text]) => [key === "" ? null : element("span", { class: "key" }, key), block(text)]);
      place.append(element("div", { class: "call" }, element("b", null, call.name), given.flat()));
    }
    if (turn.step !== null && this.page.measure !== "") place.append(tokensOf(segments(this.index), turn.step, this.page.measure));
  }

  /** Draws again what is drawn, after the tokens' colours changed. */
  refill() {
    this.turns?.forEach((place, index) => {
      if (this.data[index].step === undefined || this.data[index].step === null || place.childNodes.length === 0) return;
      place.replaceChildren();
      this.fill(index);
    });
  }

  mark(index) {
    this.turns[this.turn]?.classList.remove("current");
    this.turns[this.turn]?.removeAttribute("aria-current");
    this.turn = index;
    this.turns[index].classList.add("current");
    this.turns[index].setAttribute("aria-current", "true");
    this.page.remember();
  }

  /** Goes to a turn. What lies just above is drawn first, so that it does not push the turn away afterwards. */
  go(index) {
    this.build();
    const goal = Math.min(Math.max(index, 0), this.turns.length - 1);
    for (let near = goal - 2; near <= goal + 3; near += 1) this.fill(near);
    this.mark(goal);
    const show = () => this.turns[goal].scrollIntoView({ block: goal === 0 ? "center" : "start", inline: "nearest" });
    if (goal === 0) this.place.scrollTop = 0;
    else show();
    requestAnimationFrame(() => goal !== 0 && this.turn === goal && show());
  }

  expand() {
    this.turns[this.turn].querySelectorAll(".more").forEach((button) => button.click());
  }

  close() {
    this.near?.disconnect();
  }
}
