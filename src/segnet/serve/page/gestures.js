// Pointer, wheel and keys on the stage: point, drag, pinch, zoom, and the divider.

const STEP = 1.25; // of a zoom
const KEYS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

export class Gestures {
  /** @param {Stage} stage whose elements are listened to */
  constructor(stage) {
    this.stage = stage;
    this.pointers = new Map(); // that are down: id -> [x, y] in the window
    this.travelled = 0; // CSS pixels since the first went down
    const { canvas, divider } = stage;
    canvas.addEventListener("pointerdown", (event) => this.down(event));
    canvas.addEventListener("pointermove", (event) => this.move(event));
    for (const name of ["pointerup", "pointercancel"]) canvas.addEventListener(name, (event) => this.up(event));
    canvas.addEventListener("pointerleave", (event) => {
      if (event.pointerType === "mouse" && !stage.marked) stage.setPoint(null, "mouse");
    });
    canvas.addEventListener("dblclick", (event) => stage.zoomBy(2, ...this.inBox(event)));
    canvas.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
    canvas.addEventListener("keydown", (event) => this.key(event));
    divider.addEventListener("pointerdown", (event) => {
      event.preventDefault();
      divider.focus({ focusVisible: false });
      divider.setPointerCapture(event.pointerId);
    });
    divider.addEventListener("pointermove", (event) => {
      if (divider.hasPointerCapture(event.pointerId)) this.divide(this.inBox(event)[0]);
    });
    divider.addEventListener("keydown", (event) => this.dividerKey(event));
  }

  inBox({ clientX, clientY }) {
    const { left, top } = this.stage.canvas.getBoundingClientRect();
    return [clientX - left, clientY - top];
  }

  down(event) {
    if (event.button > 0) return;
    if (!this.pointers.size) this.travelled = 0;
    this.pointers.set(event.pointerId, [event.clientX, event.clientY]);
    this.stage.canvas.setPointerCapture(event.pointerId);
  }

  move(event) {
    const { stage, pointers } = this;
    const before = pointers.get(event.pointerId);
    if (!before) {
      if (event.pointerType === "mouse") stage.setPoint(stage.pixelAt(event.clientX, event.clientY), "mouse");
      return;
    }
    const now = [event.clientX, event.clientY];
    const [right, down] = [now[0] - before[0], now[1] - before[1]];
    this.travelled += Math.hypot(right, down);
    pointers.set(event.pointerId, now);
    if (pointers.size === 2) {
      const [other] = [...pointers].filter(([id]) => id !== event.pointerId).map(([, at]) => at);
      const apart = (at) => Math.hypot(at[0] - other[0], at[1] - other[1]);
      const [x, y] = this.inBox({ clientX: (now[0] + other[0]) / 2, clientY: (now[1] + other[1]) / 2 });
      stage.zoomBy(apart(now) / Math.max(apart(before), 1), x, y);
      stage.panBy(right / 2, down / 2);
    } else if (stage.zoom > 1 && this.travelled > 4) {
      stage.canvas.classList.add("dragged");
      stage.panBy(right, down);
    }
  }

  up(event) {
    const { stage } = this;
    if (!this.pointers.delete(event.pointerId) || this.pointers.size) return;
    stage.canvas.classList.remove("dragged");
    if (event.type === "pointerup" && this.travelled <= 6) {
      const by = event.pointerType === "mouse" ? "mouse" : "touch";
      stage.setPoint(stage.pixelAt(event.clientX, event.clientY), by);
    }
  }

  wheel(event) {
    if (!event.ctrlKey && !event.metaKey) return; // the page scrolls
    event.preventDefault();
    this.stage.zoomBy(Math.exp(-event.deltaY / 200), ...this.inBox(event));
  }

  key(event) {
    const { stage } = this;
    const step = KEYS[event.key];
    if (event.ctrlKey || event.metaKey || event.altKey || !stage.image) return;
    if (step) {
      const far = event.shiftKey ? 1 : Math.max(1, Math.round(16 / stage.place.scale));
      const from = stage.point ?? stage.size.map((side) => side >> 1);
      const point = from.map((at, axis) => Math.min(Math.max(at + far * step[axis], 0), stage.size[axis] - 1));
      stage.reveal(point);
      stage.setPoint(point, "keyboard");
    } else if (event.key === "+" || event.key === "=") this.zoomKey(STEP);
    else if (event.key === "-") this.zoomKey(1 / STEP);
    else if (event.key === "0") stage.fit();
    else return;
    event.preventDefault();
  }

  /** Zooms towards the point if it is set by keys, else towards the middle. */
  zoomKey(factor) {
    const { stage } = this;
    const { scale, left, top } = stage.place;
    if (stage.point && stage.marked) stage.zoomBy(factor, left + stage.point[0] * scale, top + stage.point[1] * scale);
    else stage.zoomBy(factor);
  }

  divide(x) {
    const [from, to] = this.stage.sight;
    this.stage.setSplit(Math.min(Math.max((x - from) / Math.max(to - from, 1), 0), 1));
  }

  dividerKey(event) {
    const far = event.shiftKey ? 0.1 : 0.02;
    const { split } = this.stage;
    const to = { ArrowLeft: split - far, ArrowDown: split - far, ArrowRight: split + far, ArrowUp: split + far, Home: 0, End: 1 }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    this.stage.setSplit(Math.min(Math.max(to, 0), 1));
  }
}
