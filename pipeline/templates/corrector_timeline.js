"use strict";
// Time-line of the corrector: a row a label, with lanes so that nothing overlaps. It draws, and knows nothing of editing.
// Segments are never changed, only replaced, so a bar stands until its segment is gone: an hour holds thousands of them.
class EditableTimeline {
  constructor(scroll) {
    this.scroll = scroll;
    this.rows = new Map();  // label -> { group, ground }
    this.bars = new Map();  // number of a segment -> { rect, segment, lane }
    this.sketch = null;  // a bar that is being dragged
    [this.axis, this.content] = [report.make("g"), report.make("g")];
    this.playhead = report.make("line", { y1: 0, class: "playhead" });
    this.svg = report.make("svg");
    this.svg.append(this.axis, this.content, this.playhead);
    scroll.replaceChildren(this.svg);
    scroll.addEventListener("scroll", () => {
      for (const name of scroll.querySelectorAll(".name")) name.setAttribute("x", this.nameX());
    }, { passive: true });
  }

  nameX() { return EditableTimeline.TEXT + this.scroll.scrollLeft; }
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
    const width = Math.max(280, (this.scroll.clientWidth || 900) - 2) * zoom;
    this.nameLeft = this.nameX();  // asked once: between changes each question lays the page out
    this.dropSketch();
    const isScaled = duration !== this.duration || width !== this.width;
    if (isScaled) this.scale(duration, width);
    const rows = EditableTimeline.rows(segments, labels, label);
    const rowsGone = new Set(this.rows.keys()), barsGone = new Set(this.bars.keys());
    let y = EditableTimeline.AXIS;
    for (const [name, lanes] of rows) {
      const { group, ground } = this.rows.get(name) || this.addRow(name);
      const height = EditableTimeline.NAME + lanes.length * EditableTimeline.LANE;
      ground.setAttribute("height", height);
      group.setAttribute("transform", `translate(0 ${y})`);
      rowsGone.delete(name);
      for (const [lane, those] of lanes.entries()) {
        for (const segment of those) {
          this.place(segment, lane, group);
          barsGone.delete(segment.number);
        }
      }
      y += height + EditableTimeline.GAP;
    }
    for (const number of barsGone) this.dropBar(number);
    for (const name of rowsGone) this.dropRow(name);
    if (isScaled || y !== this.height) this.drawAxis(y);
    this.mark(selected, true);
  }

  // All bars move where the scale changes.
  scale(duration, width) {
    Object.assign(this, { duration, width });
    for (const { ground } of this.rows.values()) ground.setAttribute("width", width);
    for (const { rect, segment } of this.bars.values()) this.put(rect, segment.start, segment.end);
  }

  addRow(name) {
    const row = { group: report.make("g"), ground: report.make("rect", { x: 0, y: 0, width: this.width, class: "row" }) };
    row.ground.dataset.row = name;
    row.group.append(row.ground, report.make("text", { x: this.nameLeft, y: 13, class: "name" }, name));
    this.content.append(row.group);
    this.rows.set(name, row);
    return row;
  }

  place(segment, lane, group) {
    const bar = this.bars.get(segment.number) || this.addBar(segment, group);
    if (bar.lane === lane) return;
    bar.lane = lane;
    bar.rect.setAttribute("y", EditableTimeline.NAME + lane * EditableTimeline.LANE);
  }

  addBar(segment, group) {
    const rect = report.make("rect", { height: EditableTimeline.LANE - 3, rx: 2, class: "bout" });
    rect.dataset.bout = segment.number;
    if (segment.score === null) rect.classList.add("person");
    else rect.setAttribute("fill-opacity", (0.35 + 0.65 * Math.min(1, segment.score)).toFixed(2));
    this.put(rect, segment.start, segment.end);
    group.append(rect);
    const bar = { rect, segment, lane: null };
    this.bars.set(segment.number, bar);
    return bar;
  }

  dropBar(number) {
    this.bars.get(number).rect.remove();
    this.bars.delete(number);
  }

  dropRow(name) {
    this.rows.get(name).group.remove();
    this.rows.delete(name);
  }

  drawAxis(height) {
    this.height = height;
    for (const [name, value] of [["width", this.width], ["height", height], ["viewBox", `0 0 ${this.width} ${height}`]]) {
      this.svg.setAttribute(name, value);
    }
    this.playhead.setAttribute("y2", height);
    this.axis.replaceChildren();
    const wanted = this.duration / Math.max(2, this.width / 90);
    const steps = [0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1200, 3600];
    const step = steps.find((value) => value >= wanted) || 7200;
    for (let at = 0; at <= this.duration * 1.0001; at += step) {
      const x = this.toX(at);
      this.axis.append(report.make("line", { x1: x, x2: x, y1: EditableTimeline.AXIS - 4, y2: height, class: "grid" }));
      const anchor = at === 0 ? "start" : x > this.width - 30 ? "end" : "middle";
      const textX = at === 0 ? EditableTimeline.TEXT : x;
      this.axis.append(report.make("text", { x: textX, y: 15, "text-anchor": anchor }, this.clock(at)));
    }
    const ground = { x: 0, y: 0, width: this.width, height: EditableTimeline.AXIS, class: "axis", "data-row": "" };
    this.axis.append(report.make("rect", ground));
  }

  clock(time) {
    if (this.duration <= 120) return `${Number(time.toFixed(2))} s`;
    return `${Math.floor(time / 60)}:${String(Number((time % 60).toFixed(1))).padStart(2, "0")}`;
  }

  // A bar in the first lane of a row, for a segment that is being drawn.
  newBar(label) {
    const rect = report.make("rect", {
      y: EditableTimeline.NAME, height: EditableTimeline.LANE - 3, rx: 2, class: "bout person",
    });
    this.rows.get(label).group.append(rect);
    return rect;
  }

  // Show a bar where it is being dragged to; drawing again puts it where it belongs.
  drag(rect, start, end) {
    this.sketch = rect;
    this.put(rect, start, end);
  }

  dropSketch() {
    if (!this.sketch) return;
    const bar = this.bars.get(Number(this.sketch.dataset.bout));
    if (bar) this.put(bar.rect, bar.segment.start, bar.segment.end);
    else this.sketch.remove();
    this.sketch = null;
  }

  put(rect, start, end) {
    rect.setAttribute("x", this.toX(start));
    rect.setAttribute("width", Math.max(2, this.toX(end) - this.toX(start)));
  }

  mark(number, is) { this.bars.get(number)?.rect.classList.toggle("selected", is); }

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
Object.assign(EditableTimeline, { MARGIN: 10, TEXT: 14, NAME: 18, LANE: 16, GAP: 8, AXIS: 24 });
