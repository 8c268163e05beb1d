// Makes tabs of the links to a task's candidates. Without this script they stay links, and all candidates are shown.
for (const tabs of document.querySelectorAll(".tabs")) {
  const links = [...tabs.querySelectorAll("a")];
  const panelOf = (link) => document.getElementById(link.hash.slice(1));
  const select = (link) => {
    for (const other of links) {
      const selected = other === link;
      other.setAttribute("aria-selected", String(selected));
      other.tabIndex = selected ? 0 : -1;
      panelOf(other).hidden = !selected;
    }
  };
  tabs.setAttribute("role", "tablist");
  tabs.setAttribute("aria-label", tabs.dataset.label);
  links.forEach((link, index) => {
    const panel = panelOf(link);
    link.id = panel.id + "-tab";
    link.setAttribute("role", "tab");
    link.setAttribute("aria-controls", panel.id);
    panel.setAttribute("role", "tabpanel");
    panel.setAttribute("aria-labelledby", link.id);
    link.addEventListener("click", (event) => {
      event.preventDefault();
      select(link);
    });
    link.addEventListener("keydown", (event) => {
      const last = links.length - 1;
      const next = {
        ArrowRight: index === last ? 0 : index + 1,
        ArrowLeft: index === 0 ? last : index - 1,
        Home: 0,
        End: last,
        " ": index,
      }[event.key];
      if (next === undefined) return;
      event.preventDefault();
      select(links[next]);
      links[next].focus();
    });
  });
  select(links.find((link) => "shown" in link.dataset) ?? links[0]);
}
