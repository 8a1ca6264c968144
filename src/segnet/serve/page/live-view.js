// The camera, or a video file, as what is shown: started, played, and ended.

import { helpFor } from "./formats.js";
import { eachFrame, startCamera, startFile, stopVideo } from "./live.js";
import { progress } from "./messages.js";
import { Passing, pause } from "./server.js";

const $ = (id) => document.getElementById(id);
const video = $("video");

export class LiveView {
  /**
   * @param {{segment: Function, key: () => string, began: () => void, ended: () => void,
   *   frame: (bitmap: ImageBitmap, result: object, rate: number, item: object | null) => void,
   *   failed: (text: string, item: object | null) => void}} page segment computes a frame; key names the settings;
   *   the others are told of what happens
   */
  constructor(page) {
    this.page = page;
    this.run = null; // {stop: AbortController, item: of a video file or null for the camera, played, url}
    $("play").onclick = () => (video.paused ? video.play() : video.pause());
    video.onplay = video.onpause = () => ($("play").textContent = video.paused ? "Play" : "Pause");
    $("seek").oninput = () => (video.currentTime = (video.duration * Number($("seek").value)) / 1000);
    video.ontimeupdate = video.onseeked = () => {
      if (!this.run?.item || !Number.isFinite(video.duration)) return;
      if (document.activeElement !== $("seek") || !video.paused) $("seek").value = String(Math.round((1000 * video.currentTime) / video.duration));
      $("clock").textContent = `${clock(video.currentTime)} of ${clock(video.duration)}`;
      $("seek").setAttribute("aria-valuetext", $("clock").textContent);
    };
    video.addEventListener("unplugged", () => this.fail("The camera was unplugged, or its permission was taken back. Connect it and start it again."));
  }

  get on() {
    return this.run !== null;
  }

  get cameraOn() {
    return this.on && this.run.item === null;
  }

  /** Whether a frame was shown. */
  get played() {
    return this.run?.played ?? false;
  }

  camera() {
    return this.begin(null, "The camera starts", (signal) => startCamera(video, signal));
  }

  play(item) {
    const url = URL.createObjectURL(item.blob);
    return this.begin(item, "The video is opened", (signal) => startFile(video, url, signal), url);
  }

  async begin(item, text, open, url = null) {
    this.stop();
    const run = (this.run = { stop: new AbortController(), item, played: false, url });
    const { signal } = run.stop;
    this.page.began();
    progress(text);
    $("camera").setAttribute("aria-pressed", String(item === null));
    try {
      await open(signal);
      signal.throwIfAborted();
      $("player").hidden = item === null;
      await eachFrame(video, signal, (frame, tick) => this.step(run, frame, tick), this.page.key);
    } catch (error) {
      if (run !== this.run) return; // stopped meanwhile
      this.fail(error.message === "unplayable" ? `${item.name}: ${helpFor("video")}.` : error.message);
    }
  }

  async step(run, frame, tick) {
    const { signal } = run.stop;
    const report = run.played ? () => {} : progress;
    let result;
    try {
      result = await this.page.segment(frame, [frame.width, frame.height], { signal, live: true, progress: report });
    } catch (error) {
      frame.close();
      if (!(error instanceof Passing) || error.seconds === null) throw error;
      progress(`The server is busy. Next try in ${error.seconds} s`);
      await pause(1000 * error.seconds, signal);
      progress(run.played ? "" : "The server runs the model");
      return;
    }
    if (run !== this.run) return frame.close();
    if (!run.played) progress("");
    run.played = true;
    $("snapshot").hidden = false;
    this.page.frame(frame, result, tick(), run.item);
  }

  fail(text) {
    const item = this.run?.item ?? null;
    if (!this.on) return;
    this.stop();
    this.page.failed(text, item);
  }

  /** Ends it; what is shown stays. */
  stop() {
    if (!this.run) return;
    const { stop, url } = this.run;
    this.run = null;
    stop.abort();
    stopVideo(video);
    if (url) URL.revokeObjectURL(url);
    $("player").hidden = $("snapshot").hidden = true;
    $("camera").setAttribute("aria-pressed", "false");
    this.page.ended();
  }
}

const clock = (seconds) => `${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, "0")}`;
