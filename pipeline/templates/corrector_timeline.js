"use strict";
// Time-line of the corrector: a row a label, with lanes so that nothing overlaps. It draws, and knows nothing of editing.
class EditableTimeline {
  constructor(scroll) {
    this.scroll = scroll;
    this.svg = null;
    this.rects = new Map();
    scroll.addEventListener("scroll", () => {
      for (const name of scroll.querySelectorAll(".name")) name.setAttribute("x", this.nameX());
    }, { passive: true });
  }

  nameX() { return EditableTimeline.MARGIN + this.scroll.scrollLeft; }
  toX(time) { return EditableTimeline.MARGIN + (time * (this.width - 2 * EditableTimeline.MARGIN)) / this.duration; }
  toTime(x) { return ((x - EditableTimeline.MARGIN) * this.duration) / (this.width - 2 * EditableTimeline.MARGIN); }

  // Rows of the labels that are there, and of the one that would be added next, in the order of the list.
  static rows(segments, labels, label) {
    const rows = new Map(labels.map((name) => [name, []]));
    for (const segment of [...segments].sort((a, b) => a.start - b.start)) {
      const lanes = rows.get(segment.label);
      const lane = lanes.find((those) => those[those.length - 1].end <= segment.start);
      if (lane) lane.push(segment);
      else lanes.push([segment]);
    }
    return [...rows].filter(([name, lanes]) => lanes.length || name === label)
      .map(([name, lanes]) => [name, lanes.length ? lanes : [[]]]);
  }

  draw({ duration, segments }, labels, label, selected, zoom) {
    const { AXIS, NAME, LANE, GAP } = EditableTimeline;
    this.duration = duration;
    this.width = Math.max(280, (this.scroll.clientWidth || 900) - 2) * zoom;
    this.rects = new Map();
    const rows = EditableTimeline.rows(segments, labels, label);
    const height = rows.reduce((sum, [, lanes]) => sum + NAME + lanes.length * LANE + GAP, AXIS);
    this.svg = report.make("svg", { width: this.width, height, viewBox: `0 0 ${this.width} ${height}` });
    this.drawAxis(height);
    let y = AXIS;
    for (const [name, lanes] of rows) {
      const row = report.make("rect", { x: 0, y, width: this.width, height: NAME + lanes.length * LANE, class: "row" });
      row.dataset.row = name;
      this.svg.append(row, report.make("text", { x: this.nameX(), y: y + 13, class: "name" }, name));
      y += NAME;
      for (const lane of lanes) {
        for (const segment of lane) this.svg.append(this.bar(segment, y));
        y += LANE;
      }
      y += GAP;
    }
    this.playhead = report.make("line", { y1: 0, y2: height, class: "playhead" });
    this.svg.append(this.playhead);
    this.scroll.replaceChildren(this.svg);
    this.mark(selected, true);
  }

  drawAxis(height) {
    const wanted = this.duration / Math.max(2, this.width / 90);
    const steps = [0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1200, 3600];
    const step = steps.find((value) => value >= wanted) || 7200;
    for (let at = 0; at <= this.duration * 1.0001; at += step) {
      const x = this.toX(at);
      this.svg.append(report.make("line", { x1: x, x2: x, y1: EditableTimeline.AXIS - 4, y2: height, class: "grid" }));
      const anchor = at === 0 ? "start" : x > this.width - 30 ? "end" : "middle";
      this.svg.append(report.make("text", { x, y: 15, "text-anchor": anchor }, this.clock(at)));
    }
    const ground = { x: 0, y: 0, width: this.width, height: EditableTimeline.AXIS, class: "axis", "data-row": "" };
    this.svg.append(report.make("rect", ground));
  }

  clock(time) {
    if (this.duration <= 120) return `${Number(time.toFixed(2))} s`;
    return `${Math.floor(time / 60)}:${String(Number((time % 60).toFixed(1))).padStart(2, "0")}`;
  }

  bar(segment, y) {
    const rect = report.make("rect", { y, height: EditableTimeline.LANE - 3, rx: 2, class: "bout" });
    rect.dataset.bout = segment.number;
    if (segment.score === null) rect.classList.add("person");
    else rect.setAttribute("fill-opacity", (0.35 + 0.65 * Math.min(1, segment.score)).toFixed(2));
    this.rects.set(segment.number, rect);
    this.put(rect, segment.start, segment.end);
    return rect;
  }

  // A bar in the first lane of a row, for a segment that is being drawn.
  newBar(label) {
    const row = this.scroll.querySelector(`.row[data-row="${CSS.escape(label)}"]`);
    const y = Number(row.getAttribute("y")) + EditableTimeline.NAME;
    const rect = report.make("rect", { y, height: EditableTimeline.LANE - 3, rx: 2, class: "bout person" });
    this.svg.append(rect);
    return rect;
  }

  put(rect, start, end) {
    rect.setAttribute("x", this.toX(start));
    rect.setAttribute("width", Math.max(2, this.toX(end) - this.toX(start)));
  }

  mark(number, is) { this.rects.get(number)?.classList.toggle("selected", is); }

  movePlayhead(time) {
    this.playhead.setAttribute("x1", this.toX(time));
    this.playhead.setAttribute("x2", this.toX(time));
  }

  reveal(time) {
    const x = this.toX(time), { scrollLeft, clientWidth } = this.scroll;
    if (x < scrollLeft || x > scrollLeft + clientWidth) this.scroll.scrollLeft = x - clientWidth / 3;
  }

  middle() { return this.toTime(this.scroll.scrollLeft + this.scroll.clientWidth / 2); }
  centre(time) { this.scroll.scrollLeft = this.toX(time) - this.scroll.clientWidth / 2; }
}
Object.assign(EditableTimeline, { MARGIN: 10, NAME: 18, LANE: 16, GAP: 8, AXIS: 24 });
