"use strict";
// Time-lines: a list of videos, and for the chosen one a row for each label, ground truth above detections.
for (const root of document.querySelectorAll("[data-timeline]")) {
  const { labels, videos, least: opensAt } = report.data[root.dataset.timeline][root.dataset.timelineTask];
  const part = (name) => root.querySelector(`[data-${name}]`);
  const [START, END, LABEL, SCORE, TIOU, ANY_TIOU] = [0, 1, 2, 3, 4, 5];
  const NAME_HEIGHT = 17, TRUTH_HEIGHT = 14, LANE_HEIGHT = 8, ROW_GAP = 9, AXIS_HEIGHT = 24, TOP = 4;
  const MOST_LANES = 12, MOST_OTHER_LABELS = 8, MARGIN = 10;
  const scores = videos.flatMap((video) => video.found.map((found) => found[SCORE])).sort((a, b) => a - b);
  const annotated = videos.some((video) => video.truth.length);
  const best = scores.length ? scores[scores.length - 1] : 1;
  let chosen = null, buttons = [];
  // It opens where the detections are most useful together; the slider shows the others.
  if (typeof opensAt === "number" && scores.length > 1) {
    const at = scores.findIndex((score) => score >= opensAt * (1 - 1e-3));
    part("threshold").value = String(Math.floor((1000 * Math.max(0, at)) / (scores.length - 1)));
  }

  // The slider moves evenly through the detections, whatever the scale of their scores.
  const threshold = () => {
    const place = Number(part("threshold").value) / 1000;
    return scores.length ? scores[Math.min(scores.length - 1, Math.round(place * (scores.length - 1)))] : 0;
  };
  const clock = (seconds, long) => {
    if (!long) return `${Number(seconds.toFixed(2))} s`;
    return `${Math.floor(seconds / 60)}:${String(Math.round(seconds % 60)).padStart(2, "0")}`;
  };
  const percent = (fraction) => `${Math.round(100 * fraction)}\u00a0%`;
  const kind = (found) => {
    if (found[TIOU] === null || found[TIOU] >= 0.5) return "good";
    return found[TIOU] >= 0.1 ? "near" : "far";
  };

  function details(segment) {
    const rows = [["what", segment.length > 3 ? "detection" : "ground truth"]];
    if (labels[segment[LABEL]]) rows.push(["label", labels[segment[LABEL]]]);
    rows.push(["start", `${segment[START].toFixed(2)} s`], ["end", `${segment[END].toFixed(2)} s`]);
    if (segment.length > 3) {
      rows.push(["score", String(segment[SCORE])]);
      if (segment[TIOU] !== null) rows.push(["tIoU with its label", segment[TIOU].toFixed(3)]);
      if (segment[ANY_TIOU] !== null && segment[ANY_TIOU] !== segment[TIOU]) {
        rows.push(["with any label", segment[ANY_TIOU].toFixed(3)]);
      }
    }
    return rows;
  }

  function select(rect, segment) {
    for (const other of root.querySelectorAll(".selected")) other.classList.remove("selected");
    if (rect) rect.classList.add("selected");
    const rows = segment ? details(segment) : [["", "Select a segment to keep its values here."]];
    part("details").replaceChildren(...rows.map(([name, value]) => {
      const pair = report.make("div");
      pair.append(report.make("dt", {}, name), report.make("dd", {}, value));
      return pair;
    }));
    if (!segment) return;
    const detail = { video: chosen.id, start_s: segment[START], end_s: segment[END] };
    document.dispatchEvent(new CustomEvent("segment-selected", { detail }));
  }

  // Put a segment into the first lane where it overlaps nothing; into the last one if there are too many.
  function place(lanes, segment, most) {
    let lane = lanes.find((those) => those.every((other) =>
      segment[END] <= other[START] || segment[START] >= other[END]));
    if (!lane && lanes.length < most) lanes.push((lane = []));
    (lane || lanes[lanes.length - 1]).push(segment);
  }

  // Rows: annotated labels, then the best of the others. The best detections come into the upper lanes.
  function rowsOf(found) {
    const rows = new Map();
    for (const segment of chosen.truth) {
      if (!rows.has(segment[LABEL])) rows.set(segment[LABEL], { truth: [], lanes: [] });
      place(rows.get(segment[LABEL]).truth, segment, MOST_LANES);
    }
    let others = 0, hidden = 0;
    for (const segment of found) {
      if (!rows.has(segment[LABEL])) {
        if (others === MOST_OTHER_LABELS) { hidden += 1; continue; }
        others += 1;
        rows.set(segment[LABEL], { truth: [], lanes: [] });
      }
      place(rows.get(segment[LABEL]).lanes, segment, MOST_LANES);
    }
    return { rows, hidden };
  }

  // The axis is a drawing of its own, which stays in sight while the rows are scrolled.
  function ticks(svg, axis, width, height, toX) {
    const wanted = chosen.duration / Math.max(2, width / 90);
    const power = 10 ** Math.floor(Math.log10(wanted));
    const long = chosen.duration > 120;
    const steps = long ? [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1200, 3600] : [1, 2, 5, 10].map((m) => m * power);
    const step = steps.find((value) => value >= wanted) || steps[steps.length - 1];
    for (let at = 0; at <= chosen.duration * 1.0001; at += step) {
      const x = toX(at);
      svg.append(report.make("line", { x1: x, x2: x, y1: 0, y2: height, class: "grid" }));
      const anchor = at === 0 ? "start" : x > width - 30 ? "end" : "middle";
      axis.append(report.make("text", { x, y: AXIS_HEIGHT - 7, "text-anchor": anchor }, clock(at, long)));
    }
  }

  function bar(svg, segment, toX, y, height, look) {
    const x = toX(Math.min(segment[START], segment[END]));
    const width = Math.max(1.5, toX(Math.max(segment[START], segment[END])) - x);
    const hint = details(segment).map(([name, value]) => `${name}: ${value}`).join("\n");
    const rect = report.make("rect", { x, y, width, height, rx: 1.5, "data-segment": "", "data-hint": hint, ...look });
    rect.addEventListener("click", () => select(rect, segment));
    svg.append(rect);
  }

  // What another task hides is drawn when it is shown, or printed.
  function draw(hiddenToo) {
    if (!chosen || (!root.offsetParent && hiddenToo !== true)) return;
    const least = threshold();
    const found = chosen.found.filter((segment) => segment[SCORE] >= least);
    const { rows, hidden } = rowsOf(found);
    const zoom = 2 ** Number(part("zoom").value);
    const width = Math.max(280, (part("scroll").clientWidth || 900) - 2) * zoom;
    const toX = (seconds) => MARGIN + ((width - 2 * MARGIN) * seconds) / chosen.duration;
    const heights = [...rows.values()].map((row) =>
      NAME_HEIGHT + row.truth.length * TRUTH_HEIGHT + row.lanes.length * LANE_HEIGHT + ROW_GAP);
    const height = heights.reduce((sum, each) => sum + each, TOP);
    const svg = report.make("svg", { width, height, viewBox: `0 0 ${width} ${height}`, role: "img" });
    svg.setAttribute("aria-label", `Time-line of ${chosen.id}`);
    const axis = report.make("svg", { width, height: AXIS_HEIGHT, viewBox: `0 0 ${width} ${AXIS_HEIGHT}`, class: "axis" });
    ticks(svg, axis, width, height, toX);
    let y = TOP;
    for (const [label, row] of rows) {
      svg.append(report.make("text", { x: MARGIN, y: y + 12, class: "name" }, labels[label] || "all proposals"));
      y += NAME_HEIGHT;
      for (const lane of row.truth) {
        for (const segment of lane) bar(svg, segment, toX, y, TRUTH_HEIGHT - 3, { class: "truth" });
        y += TRUTH_HEIGHT;
      }
      for (const lane of row.lanes) {
        for (const segment of lane) {
          const opacity = best > 0 ? 0.3 + 0.7 * Math.max(0, Math.min(1, segment[SCORE] / best)) : 0.8;
          bar(svg, segment, toX, y, LANE_HEIGHT - 2, { class: kind(segment), "fill-opacity": opacity.toFixed(2) });
        }
        y += LANE_HEIGHT;
      }
      y += ROW_GAP;
    }
    part("scroll").replaceChildren(svg, axis);
    keepNamesInSight();
    part("threshold-value").textContent = Number(least.toPrecision(3));
    part("zoom-value").textContent = `${zoom} x`;
    const shown = [`${found.length - hidden} of ${chosen.found.length} detections`];
    if (annotated) shown.unshift(`${chosen.truth.length} annotations`);
    if (chosen.more) shown.push(`${chosen.more} of lower score are not in this page`);
    if (hidden) shown.push(`${hidden} of further labels are not drawn`);
    if (chosen.figure !== null) shown.push(`precision at n: ${percent(chosen.figure)}`);
    part("shown").textContent = shown.join(" · ");
    select(null, null);
  }

  function keepNamesInSight() {
    const x = part("scroll").scrollLeft + MARGIN;
    for (const name of part("scroll").querySelectorAll(".name")) name.setAttribute("x", x);
  }

  function choose(video, button) {
    chosen = video;
    for (const other of buttons) other.removeAttribute("aria-current");
    if (button) button.setAttribute("aria-current", "true");
    part("title").textContent = video ? video.id : "No video fits the search";
    part("scroll").scrollLeft = 0;
    if (video) draw();
    else part("scroll").replaceChildren();
    // A player's script may come after this one.
    if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", tellShown, { once: true });
    else tellShown();
  }

  function tellShown() {
    const first = chosen && (chosen.truth[0] || chosen.found[0]);
    if (!first) return;
    const detail = { video: chosen.id, start_s: first[START], end_s: first[END] };
    document.dispatchEvent(new CustomEvent("video-shown", { detail }));
  }

  const texts = new Map(videos.map((video) => {
    const used = new Set([...video.truth, ...video.found].map((segment) => labels[segment[LABEL]]));
    return [video, [video.id, ...used].join("\n").toLowerCase()];
  }));

  function list() {
    const wanted = part("search").value.trim().toLowerCase();
    const group = part("group") ? part("group").value : "";
    const fits = (video) => (!group || video.group === group) && texts.get(video).includes(wanted);
    const found = videos.filter(fits);
    buttons = found.map((video) => {
      const button = report.make("button", { type: "button" });
      const figure = video.figure === null ? String(video.found.length) : percent(video.figure);
      button.append(report.make("span", {}, video.id), report.make("span", {}, figure));
      button.addEventListener("click", () => choose(video, button));
      return button;
    });
    part("videos").replaceChildren(...buttons.map((button) => {
      const item = report.make("li");
      item.append(button);
      return item;
    }));
    part("count").textContent = `${found.length} of ${videos.length} videos`;
    if (!found.includes(chosen)) {
      const first = Math.max(0, found.findIndex((video) => video.found.length));
      choose(found[first] || null, buttons[first]);
      part("videos").scrollTop = buttons[first] ? buttons[first].offsetTop - part("videos").offsetTop - 40 : 0;
    } else buttons[found.indexOf(chosen)].setAttribute("aria-current", "true");
  }

  part("search").addEventListener("input", list);
  part("group")?.addEventListener("change", list);
  part("threshold").addEventListener("input", () => draw());
  part("zoom").addEventListener("input", () => {
    const scroll = part("scroll");
    const middle = (scroll.scrollLeft + scroll.clientWidth / 2) / scroll.scrollWidth;
    draw();
    scroll.scrollLeft = middle * scroll.scrollWidth - scroll.clientWidth / 2;
  });
  part("scroll").addEventListener("scroll", keepNamesInSight, { passive: true });
  window.addEventListener("resize", () => draw());
  window.addEventListener("beforeprint", () => { part("zoom").value = 0; draw(true); });
  document.addEventListener("task-shown", () => draw());
  list();
}
