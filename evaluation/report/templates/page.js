"use strict";
// Frame of the page: theme, choice of the task, hints on hover. Other scripts use `report`.
const report = {
  data: JSON.parse(document.getElementById("page-data").textContent),

  // Elements are made with text, never with markup, so that labels cannot become elements.
  make(name, attributes, text) {
    const isSvg = report.svgNames.has(name);
    const made = isSvg ? document.createElementNS("http://www.w3.org/2000/svg", name) : document.createElement(name);
    for (const [key, value] of Object.entries(attributes || {})) made.setAttribute(key, value);
    if (text !== undefined) made.textContent = text;
    return made;
  },
  svgNames: new Set(["svg", "g", "rect", "line", "text", "polyline"]),

  showHint(text, event) {
    const hint = document.getElementById("hint");
    hint.textContent = text;
    hint.hidden = false;
    const box = hint.getBoundingClientRect();
    const left = Math.min(event.clientX + 14, window.innerWidth - box.width - 8);
    const above = event.clientY + 18 + box.height > window.innerHeight;
    hint.style.left = Math.max(8, left) + "px";
    hint.style.top = Math.max(8, above ? event.clientY - box.height - 12 : event.clientY + 18) + "px";
  },
  hideHint() { document.getElementById("hint").hidden = true; },
};

document.documentElement.classList.add("scripted");

(() => {
  const names = ["auto", "light", "dark"];
  const button = document.getElementById("theme");
  // Pages opened from a file may not be allowed to remember anything.
  const remembered = () => { try { return localStorage.getItem("theme"); } catch { return null; } };
  const remember = (name) => { try { localStorage.setItem("theme", name); } catch { /* only this time, then */ } };
  const apply = (name) => {
    if (name === "auto") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = name;
    button.textContent = "Theme: " + name;
    button.dataset.value = name;
  };
  apply(names.includes(remembered()) ? remembered() : "auto");
  button.addEventListener("click", () => {
    const next = names[(names.indexOf(button.dataset.value) + 1) % names.length];
    apply(next);
    remember(next);
  });
})();

(() => {
  const buttons = [...document.querySelectorAll("[data-show-task]")];
  if (!buttons.length) return;
  document.documentElement.classList.add("switched");
  const show = (task) => {
    for (const block of document.querySelectorAll("[data-task]")) block.hidden = block.dataset.task !== task;
    for (const button of buttons) button.setAttribute("aria-pressed", button.dataset.showTask === task);
    document.dispatchEvent(new CustomEvent("task-shown", { detail: task }));
  };
  for (const button of buttons) button.addEventListener("click", () => show(button.dataset.showTask));
  show(buttons[buttons.length - 1].dataset.showTask);
})();

document.addEventListener("pointermove", (event) => {
  const marked = event.target.closest && event.target.closest("[data-hint]");
  if (marked) report.showHint(marked.dataset.hint, event);
  else if (!(event.target.closest && event.target.closest("[data-line-chart]"))) report.hideHint();
});
document.addEventListener("pointerleave", report.hideHint);
document.addEventListener("scroll", report.hideHint, { passive: true });
