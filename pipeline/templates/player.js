"use strict";
// Player: a selected segment is played from its start to its end, from the local file of its video. Until one is,
// a small still shows the video whose time-line is open, in the middle of its first segment.
for (const root of document.querySelectorAll("[data-player]")) {
  const files = JSON.parse(root.dataset.files);
  const video = root.querySelector("video");
  const text = root.querySelector("[data-player-text]");
  let shown = null, wanted = null;

  const seek = () => {
    video.currentTime = wanted.start_s;
    // Without a click on the page yet, browsers refuse to play; the first frame of the segment is shown then.
    video.play().catch(() => {});
  };

  document.addEventListener("video-shown", ({ detail }) => {
    if (!Object.hasOwn(files, detail.video) || !(video.hidden || video.paused)) return;
    wanted = shown = null;
    video.className = "still";
    video.hidden = false;
    video.controls = false;
    video.preload = "metadata";
    video.src = `${files[detail.video]}#t=${(detail.start_s + detail.end_s) / 2}`;
    text.textContent = `${detail.video}: select a segment to play it.`;
  });

  document.addEventListener("segment-selected", (event) => {
    wanted = event.detail;
    video.className = "";
    video.controls = true;
    const file = Object.hasOwn(files, wanted.video) ? files[wanted.video] : null;
    if (file === null) {
      video.pause();
      video.removeAttribute("src");
      video.load();
      video.hidden = true;
      shown = null;
      text.textContent = `${wanted.video}: there is no video file beside this page.`;
      return;
    }
    text.textContent = `${wanted.video}, ${wanted.start_s.toFixed(2)} to ${wanted.end_s.toFixed(2)} s`;
    video.hidden = false;
    if (shown !== wanted.video) {
      shown = wanted.video;
      video.preload = "auto";
      video.src = file;
    }
    if (video.readyState >= 1) seek();
  });
  video.addEventListener("loadedmetadata", () => { if (wanted) seek(); });
  video.addEventListener("timeupdate", () => {
    if (wanted && video.currentTime >= wanted.end_s) { wanted = null; video.pause(); }
  });
  video.addEventListener("error", () => {
    if (!video.getAttribute("src")) return;
    shown = null;
    video.hidden = video.className === "still";
    text.textContent = `${decodeURIComponent(video.getAttribute("src"))}: cannot be played here (moved, or a format that browsers do not know).`;
  });
}
