"use strict";
// Corrections of a page: the segments of every video, undo and redo, what the browser keeps, what is saved.
// Segments are never changed, only replaced, so a step back is the list as it was.
class Corrections {
  constructor({ videos, labels, model }) {
    this.model = model;
    this.labels = [...labels];
    this.videos = new Map(videos.map((video) => [video.id, {
      ...video,
      segments: video.segments.map(([start, end, label, score]) =>
        this.made({ start, end, label: labels[label], score, source: model })),
    }]));
    this.written = new Map([...this.videos].map(([id, video]) => [id, video.segments]));
    this.past = [];
    this.future = [];
    this.done = new Set();  // videos that a person has looked through
    this.key = `corrections ${Corrections.digest(JSON.stringify([model, labels, videos]))}`;
    this.keeps = this.restore();
  }

  made(segment) { return Object.freeze({ ...segment, number: (Corrections.count += 1) }); }

  // A short name for what the model wrote: pages of other detections keep other corrections.
  static digest(text) {
    let hash = 0x811c9dc5;
    for (let at = 0; at < text.length; at += 1) hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193) >>> 0;
    return `${hash.toString(16)}-${text.length}`;
  }

  segments(id) { return this.videos.get(id).segments; }

  // Replace the list of a video; `selected` is the number of the segment to select then, and after undoing.
  set(id, segments, selected, before) {
    this.past.push({ id, segments: this.segments(id), selected: before });
    this.future = [];
    this.put(id, segments);
    return selected;
  }

  put(id, segments) {
    this.videos.get(id).segments = segments;
    this.keep();
  }

  // Put what a person did in the place of a segment; the model's score no longer holds.
  change(id, number, values) {
    const old = this.segments(id).find((segment) => segment.number === number);
    const changed = this.made({ ...old, ...values, score: null, source: "person" });
    this.learn(changed.label);
    const segments = this.segments(id).map((segment) => (segment === old ? changed : segment));
    return this.set(id, segments, changed.number, number);
  }

  add(id, start, end, label) {
    const added = this.made({ start, end, label, score: null, source: "person" });
    this.learn(label);
    return this.set(id, [...this.segments(id), added], added.number, null);
  }

  remove(id, number) {
    return this.set(id, this.segments(id).filter((segment) => segment.number !== number), null, number);
  }

  revert(id) { return this.set(id, this.written.get(id), null, null); }

  learn(label) { if (!this.labels.includes(label)) this.labels.push(label); }

  // Take a step back (or forth again); returns the video and what was selected, or null at the end.
  step(from, to) {
    const last = from.pop();
    if (!last) return null;
    to.push({ ...last, segments: this.segments(last.id) });
    this.put(last.id, last.segments);
    return last;
  }
  undo() { return this.step(this.past, this.future); }
  redo() { return this.step(this.future, this.past); }

  changed() { return [...this.videos.values()].filter((video) => video.segments !== this.written.get(video.id)); }

  keep() {
    const lists = Object.fromEntries(this.changed().map((video) => [video.id, video.segments]));
    try {
      localStorage.setItem(this.key, JSON.stringify({ lists, done: [...this.done] }));
      this.keeps = true;
    } catch { this.keeps = false; }
  }

  restore() {
    try {
      const { lists, done } = JSON.parse(localStorage.getItem(this.key) || '{ "lists": {}, "done": [] }');
      this.done = new Set(done.filter((id) => this.videos.has(id)));
      for (const [id, segments] of Object.entries(lists)) {
        if (!this.videos.has(id)) continue;
        this.videos.get(id).segments = segments.map((segment) => this.made(segment));
        for (const segment of segments) this.learn(segment.label);
      }
      return true;
    } catch { return false; }
  }

  mark(id, isDone) {
    if (isDone) this.done.add(id);
    else this.done.delete(id);
    this.keep();
  }

  // What nobody has looked through is no label; where nothing is marked, everything is saved.
  saved() { return [...this.videos.values()].filter((video) => !this.done.size || this.done.has(video.id)); }

  inOrder(video) { return [...video.segments].sort((a, b) => a.start - b.start || a.end - b.end); }

  csv() {
    const cell = (text) => (/[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
    const lines = ["video,start_s,end_s,label,source,score"];
    for (const video of this.saved()) {
      if (!video.segments.length) lines.push(`${cell(video.id)},,,,,`);
      for (const { start, end, label, source, score } of this.inOrder(video)) {
        const words = [video.id, start.toFixed(3), end.toFixed(3), label, source, score === null ? "" : String(score)];
        lines.push(words.map(cell).join(","));
      }
    }
    return `${lines.join("\n")}\n`;
  }

  json() {
    const database = {};
    for (const video of this.saved()) {
      const annotations = this.inOrder(video).map(({ start, end, label, source, score }) => ({
        label, segment: [Number(start.toFixed(3)), Number(end.toFixed(3))], source, score,
      }));
      database[video.id] = { subset: "training", duration: video.duration, annotations };
    }
    return `${JSON.stringify({ version: "VERSION 1.3", database }, null, 1)}\n`;
  }

  download(kind) {
    const [text, type] = kind === "csv" ? [this.csv(), "text/csv"] : [this.json(), "application/json"];
    const link = report.make("a", { download: `corrected.${kind}` });
    link.href = URL.createObjectURL(new Blob([text], { type }));
    link.click();
    URL.revokeObjectURL(link.href);
  }
}
Corrections.count = 0;
