// Makes tabs of sections that stand below each other (`data-tabs`: what they are, `data-tab`: a section's name). Without this file they
// stay below each other. Keys and roles are those of the ARIA practices; a link into a section opens it.
export function makeTabs(container) {
  const sections = [...container.children].filter((each) => each.dataset.tab);
  const list = document.createElement("div");
  list.className = "tab-list";
  list.setAttribute("role", "tablist");
  list.setAttribute("aria-label", container.dataset.tabs);
  const tabs = sections.map((section, at) => {
    const tab = document.createElement("button");
    tab.type = "button";
    tab.id = `tab-${at}`;
    tab.setAttribute("role", "tab");
    tab.textContent = section.dataset.tab + (section.dataset.wrong === undefined ? "" : " (error)");
    section.id ||= `panel-${at}`;
    tab.setAttribute("aria-controls", section.id);
    section.setAttribute("role", "tabpanel");
    section.setAttribute("aria-labelledby", tab.id);
    section.querySelector("h3")?.classList.add("visually-hidden");
    tab.addEventListener("click", () => choose(at));
    list.append(tab);
    return tab;
  });

  function choose(chosen) {
    sections.forEach((section, at) => {
      section.hidden = at !== chosen;
      tabs[at].setAttribute("aria-selected", String(at === chosen));
      tabs[at].tabIndex = at === chosen ? 0 : -1;
    });
  }

  list.addEventListener("keydown", (event) => {
    const here = tabs.indexOf(event.target);
    const to = { ArrowLeft: here - 1, ArrowRight: here + 1, Home: 0, End: tabs.length - 1 }[event.key];
    if (here < 0 || to === undefined) return;
    event.preventDefault();
    const at = (to + tabs.length) % tabs.length;
    choose(at);
    tabs[at].focus();
  });
  document.addEventListener("click", (event) => {
    const target = document.getElementById(event.target.closest?.('a[href^="#"]')?.hash.slice(1) ?? "");
    const at = target ? sections.findIndex((section) => section.contains(target)) : -1;
    if (at >= 0) choose(at);
  });

  container.prepend(list);
  choose(Math.max(0, sections.findIndex((section) => section.dataset.wrong !== undefined)));
}
