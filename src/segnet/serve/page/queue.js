// The images that wait for the model: one at a time, the one that is looked at first.

import { setState } from "./strip.js";

export class Queue {
  /**
   * @param {{work: (item: object, signal: AbortSignal) => Promise<void>, failed: (item: object, error: Error) => void,
   *   idle: (failures: number) => void}} told work computes one item; failed and idle are told of its end
   */
  constructor({ work, failed, idle }) {
    Object.assign(this, { work, failed, idle });
    this.waiting = [];
    this.current = null; // {item, stop: AbortController, again: whether it goes back into the line}
    this.held = false;
  }

  get busy() {
    return this.current !== null || this.waiting.length > 0;
  }

  /** Puts items at the end. */
  add(items) {
    for (const item of items) {
      if (this.current?.item === item) this.interrupt();
      else if (!this.waiting.includes(item)) this.enter(item, this.waiting.length);
    }
    this.pump();
  }

  /** Puts an item before all others; what runs goes back into the line. */
  prefer(item) {
    this.drop(item);
    if (this.current) this.interrupt();
    this.enter(item, 0);
    this.pump();
  }

  /** Takes an item out. */
  drop(item) {
    if (this.waiting.includes(item)) setState(item, "new");
    this.waiting = this.waiting.filter((other) => other !== item);
    if (this.current?.item === item) {
      this.current.again = false;
      this.current.stop.abort();
    }
  }

  /** Ends all. */
  cancel() {
    for (const item of this.waiting) setState(item, "cancelled");
    this.waiting = [];
    if (this.current) this.drop(this.current.item);
  }

  /** Lets nothing run until release; what runs goes back into the line. */
  hold() {
    this.held = true;
    if (this.current) this.interrupt();
  }

  release() {
    this.held = false;
    this.pump();
  }

  enter(item, place) {
    setState(item, "waiting");
    this.waiting.splice(place, 0, item);
  }

  interrupt() {
    this.current.again = true;
    this.current.stop.abort();
  }

  async pump() {
    if (this.current) return;
    let failures = 0;
    let worked = false;
    while (this.waiting.length && !this.held) {
      worked = true;
      const item = this.waiting.shift();
      const current = (this.current = { item, stop: new AbortController(), again: false });
      setState(item, "working");
      try {
        await this.work(item, current.stop.signal);
      } catch (error) {
        if (!current.stop.signal.aborted) {
          failures++;
          setState(item, "failed", error.message);
          this.failed(item, error);
        } else if (!current.again) setState(item, item.own ? "cancelled" : "new");
        else if (!this.waiting.includes(item)) this.enter(item, Math.min(1, this.waiting.length));
      }
      this.current = null;
    }
    if (worked) this.idle(failures);
  }
}
