"use strict";
// Corrector: draws the segments of a video on a time-line; mouse and keys change them through `Corrections`.
for (const root of document.querySelectorAll("[data-corrector]")) {
  const HANDLE = 6, STEP_S = 0.04, SHORTEST_S = 0.01;
  const part = (name) => root.querySelector(`[data-part="${name}"]`);
  const corrections = new Corrections(report.data[root.dataset.corrector]);
  const video = part("video"), scroll = part("scroll"), timeline = new EditableTimeline(scroll);
  let id = null, selected = null, label = corrections.labels[0] || "action", begun = null, stopAt = null, drag = null;

  const current = () => corrections.videos.get(id);
  const chosen = () => corrections.segments(id).find((segment) => segment.number === selected) || null;
  const inside = (time) => Math.min(Math.max(time, 0), current().duration);
  const rounded = (time) => Math.round(inside(time) * 1000) / 1000;
  const say = (text) => { part("status").textContent = text; };

  // ---- drawing

  function draw() {
    const zoom = 2 ** Number(part("zoom").value);
    timeline.draw(current(), corrections.labels, label, selected, zoom);
    part("zoom-value").textContent = `${zoom} x`;
    follow();
  }

  // ---- the selected segment, and what the form says of it

  function select(number, { seek = false } = {}) {
    timeline.mark(selected, false);
    selected = number;
    timeline.mark(selected, true);
    const segment = chosen();
    if (segment) label = segment.label;
    fill(segment);
    if (segment && seek) {
      go(segment.start);
      timeline.reveal(segment.start);
    }
  }

  function fill(segment) {
    for (const name of ["start", "end"]) {
      part(name).value = segment ? segment[name].toFixed(3) : "";
      part(name).disabled = !segment;
    }
    part("label").value = label;
    for (const name of ["delete", "play"]) root.querySelector(`[data-do="${name}"]`).disabled = !segment;
    const score = segment && segment.score !== null ? `, score ${Number(segment.score.toPrecision(4))}` : "";
    part("about").textContent = segment ? `by ${segment.source}${score}` : "No segment is selected.";
    for (const button of part("labels").children) button.setAttribute("aria-pressed", button.dataset.label === label);
  }

  function listLabels() {
    part("labels").replaceChildren(...corrections.labels.map((name, at) => {
      const button = report.make("button", { type: "button" }, at < 9 ? `${at + 1} ${name}` : name);
      button.dataset.label = name;
      button.addEventListener("click", () => relabel(name));
      return button;
    }));
    part("known").replaceChildren(...corrections.labels.map((name) => report.make("option", { value: name })));
  }

  // Show what a change has made.
  function show(number) {
    if (part("labels").childElementCount !== corrections.labels.length) listLabels();
    draw();
    select(number);
    const n = corrections.changed().length;
    part("kept").textContent = !corrections.keeps ? "This browser keeps nothing: save to a file before you leave."
      : n ? `${n} of ${corrections.videos.size} videos changed, kept in this browser` : "";
    root.querySelector('[data-do="undo"]').disabled = !corrections.past.length;
    root.querySelector('[data-do="redo"]').disabled = !corrections.future.length;
  }

  // ---- what a person can do

  function relabel(name) {
    label = name.trim() || label;
    const segment = chosen();
    if (segment && segment.label !== label) show(corrections.change(id, selected, { label }));
    else { corrections.learn(label); show(selected); }
  }

  function move(start, end) {
    const segment = chosen();
    if (!segment) return;
    if (!Number.isFinite(start) || !Number.isFinite(end)) { fill(segment); return; }
    const [first, last] = [rounded(start), rounded(end)];
    if (last - first < SHORTEST_S) say("A segment must end after it starts.");
    else if (first !== segment.start || last !== segment.end) {
      say("");
      show(corrections.change(id, selected, { start: first, end: last }));
      return;
    }
    show(selected);
  }

  function addOrEnd() {
    if (begun === null) {
      begun = rounded(now());
      say(`'${label}' begins at ${begun.toFixed(2)} s; press A (or the button) again where it ends`);
    } else {
      const [start, end] = [begun, rounded(now())].sort((a, b) => a - b);
      begun = null;
      say("");
      if (end - start >= SHORTEST_S) show(corrections.add(id, start, end, label));
      else say("A segment must end after it starts: play, or move on, before you end it.");
    }
    root.querySelector('[data-do="add"]').textContent = begun === null ? "Add from here" : "End here";
  }

  function next(by) {
    const order = corrections.inOrder(current());
    const at = order.findIndex((segment) => segment.number === selected);
    const target = order[at < 0 ? (by > 0 ? 0 : order.length - 1) : at + by];
    if (target) select(target.number, { seek: true });
  }

  function back(step) {
    if (!step) return say("Nothing to undo or redo.");
    if (step.id !== id) open(step.id);
    return show(step.selected);
  }

  function save(kind) {
    corrections.download(kind);
    const which = corrections.done.size ? "those that were looked through" : "all, since none is marked as looked through";
    say(`saved corrected.${kind}: ${corrections.saved().length} of ${corrections.videos.size} videos, ${which}`);
  }

  function markDone(isDone) {
    corrections.mark(id, isDone);
    showDone();
  }

  function showDone() {
    part("done").checked = corrections.done.has(id);
    for (const option of part("videos").options) {
      option.textContent = (corrections.done.has(option.value) ? "\u2713 " : "") + option.value;
    }
  }

  function playIt() {
    const segment = chosen();
    if (!segment) return;
    go(segment.start);
    stopAt = segment.end;
    video.play().catch(() => {});
  }

  const actions = {
    undo: () => back(corrections.undo()),
    redo: () => back(corrections.redo()),
    revert: () => show(corrections.revert(id)),
    csv: () => save("csv"),
    json: () => save("json"),
    add: addOrEnd,
    delete: () => { if (chosen()) show(corrections.remove(id, selected)); },
    previous: () => next(-1),
    next: () => next(1),
    play: playIt,
  };
  for (const button of root.querySelectorAll("[data-do]")) {
    button.addEventListener("click", () => actions[button.dataset.do]());
  }
  part("label").addEventListener("change", () => relabel(part("label").value));
  for (const name of ["start", "end"]) {
    part(name).addEventListener("change", () => move(part("start").valueAsNumber, part("end").valueAsNumber));
  }
  part("done").addEventListener("change", () => markDone(part("done").checked));
  part("videos").addEventListener("change", () => open(part("videos").value));
  part("zoom").addEventListener("input", () => zoomed());

  function zoomed(by = 0) {
    const middle = timeline.middle();
    part("zoom").value = Number(part("zoom").value) + by;
    draw();
    timeline.centre(middle);
  }

  // ---- mouse

  const xOf = (event) => event.clientX - timeline.svg.getBoundingClientRect().left;
  const timeOf = (event) => timeline.toTime(xOf(event));

  // Which part of a bar is below the pointer; of a narrow one, each end has a third.
  function grip(event, segment) {
    const x = xOf(event), start = timeline.toX(segment.start), end = timeline.toX(segment.end);
    const handle = Math.min(HANDLE, (end - start) / 3);
    return x <= start + handle ? "start" : x >= end - handle ? "end" : "middle";
  }

  scroll.addEventListener("pointermove", (event) => {
    if (drag) return dragged(event);
    const number = Number(event.target.dataset?.bout);
    const segment = number && corrections.segments(id).find((each) => each.number === number);
    if (segment) event.target.classList.toggle("edge", grip(event, segment) !== "middle");
    return undefined;
  });

  scroll.addEventListener("pointerdown", (event) => {
    if (event.button !== 0 || !event.target.dataset) return;
    const time = timeOf(event);
    if (event.target.dataset.bout) {
      select(Number(event.target.dataset.bout));
      const segment = chosen();
      drag = { grip: grip(event, segment), from: time, x: xOf(event), segment, rect: event.target };
    } else if (event.target.dataset.row !== undefined) {
      drag = { grip: "new", from: time, x: xOf(event), row: event.target.dataset.row, rect: null };
    } else return;
    scroll.setPointerCapture(event.pointerId);
    scroll.focus({ preventScroll: true });
    event.preventDefault();
  });

  // Ends of the segment as it is dragged.
  function ends(event) {
    const time = timeOf(event), { segment } = drag;
    if (drag.grip === "new") return [Math.min(drag.from, time), Math.max(drag.from, time)].map(inside);
    if (drag.grip === "start") return [Math.min(inside(time), segment.end - SHORTEST_S), segment.end];
    if (drag.grip === "end") return [segment.start, Math.max(inside(time), segment.start + SHORTEST_S)];
    const length = segment.end - segment.start;
    const start = Math.min(Math.max(segment.start + time - drag.from, 0), current().duration - length);
    return [start, start + length];
  }

  function dragged(event) {
    drag.moved = drag.moved || Math.abs(xOf(event) - drag.x) > 2;
    if (!drag.moved || drag.row === "") return;
    const [start, end] = ends(event);
    drag.rect ||= timeline.newBar(drag.row);
    timeline.drag(drag.rect, start, end);
    say(`${start.toFixed(2)} to ${end.toFixed(2)} s`);
    if (drag.grip !== "new") go(drag.grip === "end" ? end : start);
  }

  scroll.addEventListener("pointerup", (event) => {
    if (!drag) return;
    const { grip: which, moved, row, segment } = drag;
    const [start, end] = ends(event);
    drag = null;
    if (which !== "new") {
      if (moved) move(start, end);
      else go(segment.start);
    } else if (moved && row) {
      label = row;
      say("");
      show(end - start < SHORTEST_S ? null : corrections.add(id, rounded(start), rounded(end), row));
    } else {
      select(null);
      go(inside(start));
    }
  });
  scroll.addEventListener("pointercancel", () => { drag = null; draw(); });
  // ---- keys

  function nudge(by, end) {
    const segment = chosen();
    if (segment) move(segment.start + (end ? 0 : by), segment.end + (end ? by : 0));
  }

  const keys = {
    " ": () => { stopAt = null; if (video.paused) video.play().catch(() => {}); else video.pause(); },
    d: () => markDone(!corrections.done.has(id)),
    j: () => next(1), k: () => next(-1), p: playIt, a: addOrEnd, s: () => save("csv"),
    "[": () => { const segment = chosen(); if (segment) move(now(), segment.end); },
    "]": () => { const segment = chosen(); if (segment) move(segment.start, now()); },
    x: actions.delete, delete: actions.delete, backspace: actions.delete,
    z: actions.undo, y: actions.redo,
    l: () => part("label").select(),
    "+": () => zoomed(1), "=": () => zoomed(1), "-": () => zoomed(-1),
    escape: () => { begun = null; root.querySelector('[data-do="add"]').textContent = "Add from here"; say(""); select(null); },
  };

  function arrow(event, by) {
    if (event.altKey) nudge(by * STEP_S, event.shiftKey);
    else go(inside(now() + by * (event.shiftKey ? 1 : STEP_S)));
  }

  // Keys count wherever the corrector is in sight, unless something is being typed or another control has them.
  document.addEventListener("keydown", (event) => {
    const box = root.getBoundingClientRect();
    if (box.bottom < 0 || box.top > window.innerHeight || event.metaKey) return;
    const key = event.key.toLowerCase();
    if (/^(input|select|textarea)$/i.test(event.target.tagName)) {
      if (key === "escape" || (key === "enter" && root.contains(event.target))) event.target.blur();
      return;
    }
    if (/^(button|a|summary|video)$/i.test(event.target.tagName) && (key === " " || key === "enter")) return;
    if (event.ctrlKey && key !== "z" && key !== "y") return;
    const number = Number(key);
    if (key === "arrowleft" || key === "arrowright") arrow(event, key === "arrowleft" ? -1 : 1);
    else if (key === "z" && event.shiftKey) actions.redo();
    else if (keys[key]) keys[key]();
    else if (number >= 1 && number <= corrections.labels.length && key.length === 1) relabel(corrections.labels[number - 1]);
    else return;
    event.preventDefault();
  });

  // ---- video

  let wanted = 0;  // where to go once the video is there; without one, the place on the time-line
  const now = () => (video.readyState >= 1 ? video.currentTime : wanted);

  function go(time) {
    stopAt = null;
    wanted = inside(time);
    if (video.readyState >= 1) video.currentTime = wanted;
    follow();
  }

  function follow() {
    timeline.movePlayhead(now());
    if (!video.paused) timeline.reveal(now());
  }

  video.addEventListener("loadedmetadata", () => { video.currentTime = wanted; });
  video.addEventListener("timeupdate", () => {
    if (stopAt !== null && video.currentTime >= stopAt) { stopAt = null; video.pause(); }
    follow();
  });
  video.addEventListener("error", () => {
    if (video.getAttribute("src")) part("file").textContent = `${current().file}: cannot be played here.`;
  });

  function open(name) {
    id = name;
    part("videos").value = name;
    selected = null;
    begun = null;
    wanted = 0;
    const { file } = current();
    part("file").textContent = file ? "" : "There is no video file beside this page.";
    video.hidden = !file;
    video.preload = "metadata";
    if (file) video.src = file;
    else video.removeAttribute("src");
    video.load();
    scroll.scrollLeft = 0;
    showDone();
    show(null);
  }

  part("videos").replaceChildren(...[...corrections.videos.keys()].map((name) =>
    report.make("option", { value: name }, name)));
  listLabels();
  open(corrections.videos.keys().next().value);
  window.addEventListener("resize", () => draw());
  root.corrections = corrections;
}
