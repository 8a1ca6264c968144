// The stage: image and result on one canvas, with zoom, a divider to compare them, and a point.

import { Gestures } from "./gestures.js";

const MOST_ZOOM = 40;
const PIXELS_FROM = 4; // screen pixels per image pixel from which pixels are shown as squares

export class Stage {
  /**
   * @param {{box: HTMLElement, canvas: HTMLCanvasElement, divider: HTMLElement}} elements
   * @param {(point: [number, number] | null, by: string) => void} pointed told of the image's pixel under the pointer
   *   (by "mouse", "touch" or "keyboard"), or null when there is none any more
   */
  constructor({ box, canvas, divider }, pointed) {
    Object.assign(this, { box, canvas, divider, pointed });
    this.image = null; // CanvasImageSource
    this.size = [1, 1]; // of the image itself, width and height
    this.layer = null; // canvas of any size, stretched over the image
    this.look = { opacity: 1, below: true, smooth: false }; // of the layer; below: the image shines through
    this.split = null; // 0..1 of the image in sight that shows the image alone; null: no divider
    this.zoom = 1;
    this.centre = [0.5, 0.5]; // of the image, in the middle of the box
    this.point = null;
    this.marked = false; // whether the point is drawn
    this.gestures = new Gestures(this);
    new ResizeObserver(() => this.draw()).observe(box);
  }

  /** Shows an image; zoom and point stay where its size stays. */
  setImage(image, size) {
    const same = this.image && size[0] === this.size[0] && size[1] === this.size[1];
    this.image = image;
    this.size = size;
    if (!same) {
      this.fit();
      this.setPoint(null, "image");
    }
    this.draw();
  }

  /** Lays a layer over the image; null takes it away. */
  setLayer(layer, look = this.look) {
    Object.assign(this, { layer, look });
    this.draw();
  }

  setSplit(split) {
    this.split = split;
    this.divider.hidden = split === null || !this.layer;
    this.divider.setAttribute("aria-valuenow", String(Math.round(100 * (split ?? 0))));
    this.draw();
  }

  setPoint(point, by) {
    this.point = point;
    this.marked = by === "keyboard" || by === "touch";
    this.pointed(point, by);
    this.draw();
  }

  // ---------------------------------------------------------------------------------------------- where things are

  /** Where the image lies in the box, in CSS pixels. */
  get place() {
    const [wide, high] = [this.box.clientWidth, this.box.clientHeight];
    const scale = Math.min(wide / this.size[0], high / this.size[1]) * this.zoom;
    const [width, height] = this.size.map((side) => side * scale);
    return { scale, left: wide / 2 - this.centre[0] * width, top: high / 2 - this.centre[1] * height, width, height };
  }

  /** The image's pixel at a point of the window, or null. */
  pixelAt(clientX, clientY) {
    if (!this.image) return null;
    const box = this.canvas.getBoundingClientRect();
    const { scale, left, top } = this.place;
    const pixel = [Math.floor((clientX - box.left - left) / scale), Math.floor((clientY - box.top - top) / scale)];
    return pixel.every((at, axis) => at >= 0 && at < this.size[axis]) ? pixel : null;
  }

  /** Left and right end of the image in sight, in CSS pixels of the box. */
  get sight() {
    const { left, width } = this.place;
    return [Math.max(left, 0), Math.min(left + width, this.box.clientWidth)];
  }

  // ---------------------------------------------------------------------------------------------- zoom and pan

  fit() {
    this.zoom = 1;
    this.centre = [0.5, 0.5];
    this.draw();
  }

  /** Zooms by a factor; the image's place under (x, y), CSS pixels of the box, stays where it is. */
  zoomBy(factor, x = this.box.clientWidth / 2, y = this.box.clientHeight / 2) {
    const before = this.place;
    const at = [(x - before.left) / before.width, (y - before.top) / before.height];
    this.zoom = Math.min(Math.max(this.zoom * factor, 1), MOST_ZOOM);
    const { width, height } = this.place;
    this.centre = [at[0] + (this.box.clientWidth / 2 - x) / width, at[1] + (this.box.clientHeight / 2 - y) / height];
    this.keepInside();
  }

  /** Moves the image by CSS pixels. */
  panBy(right, down) {
    const { width, height } = this.place;
    this.centre = [this.centre[0] - right / width, this.centre[1] - down / height];
    this.keepInside();
  }

  keepInside() {
    const { width, height } = this.place;
    const halves = [this.box.clientWidth / 2 / width, this.box.clientHeight / 2 / height];
    this.centre = this.centre.map((at, axis) => (halves[axis] >= 0.5 ? 0.5 : Math.min(Math.max(at, halves[axis]), 1 - halves[axis])));
    this.draw();
  }

  /** Moves the image just so far that a pixel of it is in sight. */
  reveal([x, y]) {
    const { scale, left, top } = this.place;
    const over = (at, end) => Math.min(Math.max(at, 24), end - 24) - at;
    const [right, down] = [over(left + x * scale, this.box.clientWidth), over(top + y * scale, this.box.clientHeight)];
    if (this.zoom > 1 && (right || down)) this.panBy(right, down);
  }

  // ---------------------------------------------------------------------------------------------- drawing

  /** Draws before the next frame of the screen; many calls are one. */
  draw() {
    this.frame ??= requestAnimationFrame(() => {
      this.frame = null;
      this.drawNow();
    });
  }

  drawNow() {
    const { canvas, box } = this;
    const ratio = window.devicePixelRatio || 1;
    const size = [Math.round(box.clientWidth * ratio), Math.round(box.clientHeight * ratio)];
    if (canvas.width !== size[0] || canvas.height !== size[1]) [canvas.width, canvas.height] = size;
    canvas.classList.toggle("zoomed", this.zoom > 1);
    const brush = canvas.getContext("2d");
    brush.setTransform(1, 0, 0, 1, 0, 0);
    brush.clearRect(0, 0, ...size);
    if (!this.image) return;
    brush.setTransform(ratio, 0, 0, ratio, 0, 0);
    const { scale, left, top, width, height } = this.place;
    const layered = this.layer !== null;
    const [from, to] = this.sight;
    const cut = layered ? (this.split === null ? from : from + (to - from) * this.split) : to;
    brush.imageSmoothingQuality = "high";
    brush.imageSmoothingEnabled = scale * ratio < PIXELS_FROM;
    if (!layered || this.look.below || cut > from) this.clipped(brush, layered && !this.look.below ? [from, cut] : [from, to], () => {
      brush.drawImage(this.image, left, top, width, height);
    });
    if (layered) this.clipped(brush, [cut, to], () => {
      brush.globalAlpha = this.look.opacity;
      brush.imageSmoothingEnabled = this.look.smooth || width * ratio < this.layer.width;
      brush.drawImage(this.layer, left, top, width, height);
    });
    this.divider.hidden = this.split === null || !layered;
    this.divider.style.left = `${cut}px`;
    if (this.point && this.marked) this.drawPoint(brush, left + (this.point[0] + 0.5) * scale, top + (this.point[1] + 0.5) * scale);
  }

  clipped(brush, [from, to], paint) {
    brush.save();
    brush.beginPath();
    brush.rect(from, 0, Math.max(to - from, 0), this.box.clientHeight);
    brush.clip();
    paint();
    brush.restore();
  }

  /** A ring and a cross in black and white, seen on any image. */
  drawPoint(brush, x, y) {
    for (const [width, colour] of [[5, "#000"], [2, "#fff"]]) {
      brush.lineWidth = width;
      brush.strokeStyle = colour;
      brush.beginPath();
      brush.arc(x, y, 9, 0, 2 * Math.PI);
      for (const [across, down] of [[1, 0], [-1, 0], [0, 1], [0, -1]]) {
        brush.moveTo(x + 5 * across, y + 5 * down);
        brush.lineTo(x + 15 * across, y + 15 * down);
      }
      brush.stroke();
    }
  }
}
