// What is shown of an item: stage, legend, colour bar, and the words below the stage.

import { classLayer, heatGradient, heatLayer } from "./layers.js";
import { Legend, percent } from "./legend.js";
import { SAMPLES_OF_DROPOUT } from "./controls.js";
import { speak } from "./messages.js";
import { unsure } from "./result.js";
import { Stage } from "./stage.js";

const $ = (id) => document.getElementById(id);
const NOTHING = { item: null, name: "", bitmap: null, result: null, map: null, rate: null };

export class View {
  /** @param {Controls} controls that say how */
  constructor(controls) {
    this.controls = controls;
    this.shown = { ...NOTHING };
    this.hovered = null; // class id that the legend is pointed at
    this.toggled = () => {}; // told when a class was hidden or shown
    this.split = 0.5;
    this.stale = null; // the bitmap of an item that was left
    const elements = { box: $("stage"), canvas: $("canvas"), divider: $("divider") };
    this.stage = new Stage(elements, (point, by) => this.point(by));
    this.legend = new Legend($("legend"), {
      toggle: (id) => {
        const { hidden } = controls;
        if (!hidden.delete(id)) hidden.add(id);
        this.toggled();
      },
      hover: (id) => {
        this.hovered = id;
        this.paintLayer();
      },
    });
    $("zoom-in").onclick = () => this.stage.zoomBy(1.5);
    $("zoom-out").onclick = () => this.stage.zoomBy(1 / 1.5);
    $("zoom-fit").onclick = () => this.stage.fit();
    $("bar").style.background = heatGradient();
  }

  /** Another item comes: its image is being read, and nothing of the old result stays. */
  clear(item) {
    this.stale ??= this.shown.bitmap; // stays in sight until the next image is there
    Object.assign(this.shown, { item, bitmap: null, result: null, map: null, rate: null });
    if (!item) this.setImage(null, "");
    this.paint();
  }

  /** Shows an image alone; null shows none. */
  setImage(bitmap, name) {
    const old = [this.shown.bitmap, this.stale];
    Object.assign(this.shown, { bitmap, name, result: null, map: null });
    this.replace(old, bitmap);
    $("empty").hidden = bitmap !== null;
    this.paint();
  }

  /** Shows what the model said of the image; null takes it away. */
  setResult(result, map = null) {
    Object.assign(this.shown, { result, map, rate: null });
    this.paint();
    if (!result) return;
    const most = [...result.shares].slice(0, 4).map(([id, share]) => `${result.model.class_names[id]} ${percent(share)}`);
    speak(`${this.shown.name}: ${most.join(", ")}. ${seconds(result.ms)} ${result.where}`);
  }

  /** Shows a frame and its result together. */
  setFrame(item, name, bitmap, result, map, rate) {
    const old = [this.shown.bitmap, this.stale];
    Object.assign(this.shown, { item, name, bitmap, result, map, rate });
    this.replace(old, bitmap);
    $("empty").hidden = true;
    this.paint();
  }

  /** Gives the stage a bitmap, and then the memory of earlier ones back. */
  replace(old, bitmap) {
    this.stage.setImage(bitmap, bitmap ? [bitmap.width, bitmap.height] : [1, 1]);
    this.stale = null;
    for (const each of old) if (each && each !== bitmap) each.close();
  }

  // ---------------------------------------------------------------------------------------------- painting

  /** Everything again. */
  paint() {
    const { result, rate } = this.shown;
    $("no-classes").hidden = result !== null;
    if (!result) this.legend.show(null, new Map(), new Set());
    else {
      const byId = [...result.shares].sort(([a], [b]) => a - b); // live: rows that do not change places
      this.legend.show(result.model, rate === null ? result.shares : new Map(byId), this.controls.hidden);
    }
    this.paintLayer();
    this.paintBar();
    $("told").textContent = result ? this.about(result, rate) : "";
    this.read();
  }

  paintLayer() {
    const { result, map } = this.shown;
    const { view, opacity, compare, hidden } = this.controls;
    const id = this.hovered ?? this.pointed();
    this.legend.mark(id);
    if (this.stage.split !== null) this.split = this.stage.split;
    if (!result || view === "image") this.stage.setLayer(null);
    else if (view === "uncertainty") {
      result.heat ??= heatLayer(unsure(result), result.width, result.height);
      this.stage.setLayer(result.heat, { opacity: 1, below: false, smooth: true });
    } else {
      const highlight = result.shares.has(id) && !hidden.has(id) ? id : null;
      const look = view === "overlay" ? { opacity, below: true, smooth: false } : { opacity: 1, below: false, smooth: false };
      this.stage.setLayer(classLayer(map, result.model.class_colours, hidden, highlight), look);
    }
    this.stage.setSplit(compare ? this.split : null);
  }

  paintBar() {
    const { result } = this.shown;
    $("colour-bar").hidden = !result || this.controls.view !== "uncertainty";
    if (!result) return;
    const sampled = result.entropy !== null;
    $("bar-low").textContent = sampled ? "0 nats: certain" : "0 %: certain";
    $("bar-high").textContent = sampled ? `${Math.log(result.model.class_names.length).toFixed(2)} nats: could be any class` : "100 %: uncertain";
    $("bar-text").textContent = sampled
      ? `Entropy of the mean of ${SAMPLES_OF_DROPOUT} samples of dropout.`
      : "1 minus the probability of the predicted class, from one pass. Bayesian models on the server give the entropy of samples.";
  }

  about({ from, width, height, ms, where }, rate) {
    const input = from[0] === width && from[1] === height ? "" : `, the model saw ${width} x ${height}`;
    const pace = !rate ? "" : `, ${rate.toFixed(1)} frames/s`;
    return `${from[0]} x ${from[1]} px${input}: ${seconds(ms)}${pace} ${where}`;
  }

  // ---------------------------------------------------------------------------------------------- the point

  point(by) {
    const id = this.pointed();
    if (id !== this.lastPointed) this.paintLayer();
    this.lastPointed = id;
    this.read();
    if (by === "keyboard" && this.stage.point) speak($("readout").textContent);
  }

  /** The place of the point in a map of another size. */
  place({ width, height }) {
    const [x, y] = this.stage.point;
    const [across, down] = this.stage.size;
    return Math.floor((y * height) / down) * width + Math.floor((x * width) / across);
  }

  /** The class id under the point, or null. */
  pointed() {
    const { map } = this.shown;
    return this.stage.point && map ? map.classes[this.place(map)] : null;
  }

  read() {
    const { result } = this.shown;
    const id = this.pointed();
    if (id === null) {
      $("readout").textContent = result ? "Point at the image to see a class." : "";
      return;
    }
    const swatch = document.createElement("i");
    swatch.style.background = `rgb(${(result.model.class_colours[id] ?? [0, 0, 0]).join(" ")})`;
    const at = this.place(result);
    const nats = ((result.entropy?.[at] ?? 0) / 255) * Math.log(result.model.class_names.length);
    const entropy = result.entropy ? `, entropy ${nats.toFixed(2)} nats` : "";
    const [x, y] = this.stage.point;
    const probability = Math.round((100 * result.confidence[at]) / 255);
    $("readout").replaceChildren(swatch, `${result.model.class_names[id] ?? "void"}, probability ${probability} %${entropy} (x ${x}, y ${y})`);
  }
}

const seconds = (ms) => (ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`);
