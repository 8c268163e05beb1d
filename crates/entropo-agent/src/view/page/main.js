// The page: which candidates are shown, and what keys do.

class Page {
  constructor() {
    this.index = island("index");
    this.measure = "";
    this.together = false;
    this.columns = [];
    this.focus = null;
    document.title = this.index.title;
    byId("title").textContent = this.index.title;
    byId("measure").append(...MEASURES.map(([value, name]) => element("option", { value }, name)));
    byId("measure").addEventListener("change", () => this.colour(byId("measure").value));
    byId("together").addEventListener("click", () => this.toggleTogether());
    byId("ask").addEventListener("click", () => byId("help").showModal());
    this.list();
    this.near = new IntersectionObserver((seen) => {
      for (const { target, isIntersecting } of seen) if (isIntersecting) this.columns.find((column) => column.place === target)?.build();
    }, { root: byId("columns"), rootMargin: "0px 400px" });
    this.search = new Search(this);
    document.addEventListener("keydown", (event) => this.key(event));
    window.addEventListener("hashchange", () => this.openHash());
    if (this.index.rollouts.length === 0) byId("columns").append(element("p", { class: "column" }, "There are no rollouts here."));
    else if (!this.openHash()) this.open(0, 0);
  }

  /** The tasks with their candidates. */
  list() {
    this.buttons = [];
    for (const task of this.index.tasks) {
      const buttons = task.rollouts.map((index) => {
        const summary = this.index.rollouts[index];
        const kind = summary.reward === null ? null : summary.reward >= 1 ? "good" : "bad";
        const end = summary.reward === null ? summary.exit : `${summary.exit} · ${summary.reward}`;
        const button = element("button", { type: "button", onclick: () => this.open(index, 0) },
          `#${summary.number}`, this.isChosen(summary) ? " ★" : "", element("span", { class: `end ${kind ?? ""}` }, end));
        this.buttons[index] = button;
        return button;
      });
      byId("tasks").append(element("section", null, element("h2", null, task.name), buttons));
    }
  }

  task(summary) {
    return this.index.tasks[summary.task];
  }

  isChosen(summary) {
    return this.task(summary).selection?.chosen === summary.number;
  }

  decisions(summary) {
    return (this.task(summary).selection?.decisions ?? []).filter((decision) => decision.rollout === summary.number);
  }

  heading(summary) {
    return `${summary.id}${this.isChosen(summary) ? " ★ chosen" : ""}`;
  }

  /** Shows a turn of a rollout. */
  open(index, turn) {
    const wanted = this.together ? this.task(this.index.rollouts[index]).rollouts : [index];
    const shown = this.columns.map((column) => column.index);
    if (wanted.length !== shown.length || wanted.some((one, place) => one !== shown[place])) {
      this.columns.forEach((column) => column.close());
      this.near.disconnect();
      this.columns = wanted.map((one) => new Column(this, one));
      byId("columns").replaceChildren(...this.columns.map((column) => column.place));
      this.columns.forEach((column) => this.near.observe(column.place));
    }
    const column = this.columns.find((one) => one.index === index);
    this.focusColumn(column);
    column.go(turn);
    column.place.scrollIntoView({ inline: "nearest", block: "nearest" });
  }

  focusColumn(column) {
    this.buttons.forEach((button) => button.removeAttribute("aria-current"));
    this.focus?.place.classList.remove("focus");
    this.focus = column;
    column.place.classList.add("focus");
    const button = this.buttons[column.index];
    button.setAttribute("aria-current", "true");
    button.scrollIntoView({ block: "nearest" });
    this.remember();
  }

  /** The address names what is shown, so that it can be passed on. */
  remember() {
    if (!this.focus || !this.focus.turns) return;
    const rest = this.together || this.measure !== "" ? `/${this.together ? "c" : ""}/${this.measure}` : "";
    history.replaceState(null, "", `#${this.focus.index}/${this.focus.turn}${rest}`);
  }

  openHash() {
    const found = /^#(\d+)\/(\d+)(?:\/(c?)\/(\w*))?$/.exec(location.hash);
    if (!found || Number(found[1]) >= this.index.rollouts.length) return false;
    if ((found[3] === "c") !== this.together) this.toggleTogether();
    if (MEASURES.some(([name]) => name === (found[4] ?? ""))) this.colour(found[4] ?? "");
    this.open(Number(found[1]), Number(found[2]));
    return true;
  }

  toggleTogether() {
    this.together = !this.together;
    byId("together").setAttribute("aria-pressed", String(this.together));
    if (this.focus) this.open(this.focus.index, this.focus.turn);
  }

  colour(measure) {
    this.measure = measure;
    byId("measure").value = measure;
    byId("legend").replaceChildren(...legend(measure));
    this.columns.forEach((column) => column.refill());
    this.remember();
  }

  candidate(by) {
    const { rollouts } = this.task(this.focus.summary);
    const next = rollouts[rollouts.indexOf(this.focus.index) + by];
    if (next === undefined) return;
    const there = this.columns.find((column) => column.index === next);
    this.open(next, there ? there.turn : 0);
  }

  nextTask(by) {
    const task = this.index.tasks[this.focus.summary.task + by];
    if (task) this.open(task.rollouts[0], 0);
  }

  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || byId("help").open) return;
    if (event.target === byId("query")) {
      if (event.key === "Escape") this.search.leave();
      else if (event.key === "Enter") this.search.next(event.shiftKey ? -1 : 1);
      return;
    }
    if (event.target instanceof HTMLSelectElement || !this.focus) return;
    const names = MEASURES.map(([name]) => name);
    const act = {
      j: () => this.focus.go(this.focus.turn + 1),
      k: () => this.focus.go(this.focus.turn - 1),
      g: () => this.focus.go(0),
      G: () => this.focus.go(Infinity),
      n: () => this.candidate(1),
      p: () => this.candidate(-1),
      "]": () => this.nextTask(1),
      "[": () => this.nextTask(-1),
      c: () => this.toggleTogether(),
      e: () => this.focus.expand(),
      t: () => this.colour(names[(names.indexOf(this.measure) + 1) % names.length]),
      "/": () => byId("query").select(),
      "?": () => byId("help").showModal(),
      Escape: () => this.search.leave(),
    }[event.key];
    if (!act) return;
    event.preventDefault();
    act();
  }
}

const page = new Page();
// When what was asked for is on the screen, milliseconds since the page was asked for.
requestAnimationFrame(() => setTimeout(() => { document.documentElement.dataset.opened = performance.now().toFixed(0); }));
