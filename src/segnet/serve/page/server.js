// The model on the server: one POST, one JSON answer with maps inside.

import { encode } from "./image.js";

const RETRIES = 5;

/** An error after which the same request may succeed. */
export class Passing extends Error {
  /** @param {number | null} seconds after which to ask again, if the server said so */
  constructor(text, seconds = null) {
    super(text);
    this.seconds = seconds;
  }
}

/**
 * @param {object} model an entry of site.json
 * @param {ImageData} pixels the image
 * @param {{samples: number, live: boolean, signal: AbortSignal, progress: (text: string) => void}} options samples of a
 *   Bayesian model; live: another frame follows, so a busy server is not asked twice for this one
 * @returns {Promise<object>} classes, confidence and entropy (Uint8Array each, entropy or null), ms, where
 */
export async function segmentOnServer(model, pixels, { samples, live, signal, progress }) {
  const maps = ["classes", "confidence", ...(samples ? ["entropy"] : [])];
  const query = new URLSearchParams([["model", model.name], ["samples", samples], ["ids", "classes"], ...maps.map((name) => ["maps", name])]);
  const body = await encode(pixels, live ? "image/jpeg" : "image/png", 0.92);
  const begun = performance.now();
  progress(samples ? `The server runs the model ${samples} times` : "The server runs the model");
  const answer = await asked(`v1/segment?${query}`, body, { signal, progress, tries: live ? 1 : RETRIES });
  const ids = new Map(model.class_colours.map(([red, green, blue], id) => [(red << 16) | (green << 8) | blue, id]));
  const [classes, confidence, entropy] = await Promise.all(maps.map((name) => pixelsOf(answer.maps[name])));
  const alone = answer.model_ms === undefined ? "" : `; the model alone ${duration(answer.model_ms)}`;
  return {
    classes: Uint8Array.from(classes, (colour) => ids.get(colour) ?? 255),
    confidence: Uint8Array.from(confidence, (colour) => colour & 255),
    entropy: entropy ? Uint8Array.from(entropy, (colour) => colour & 255) : null,
    ms: performance.now() - begun,
    where: `on the server (${answer.backend}${alone})`,
  };
}

/** 320 -> "320 ms", 1234 -> "1.2 s". */
export function duration(ms) {
  return ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`;
}

/** Sends until there is an answer; waits as long as a busy server says, and shows it. */
async function asked(address, body, { signal, progress, tries }) {
  for (let left = tries - 1; ; left--) {
    try {
      return await sent(address, { method: "POST", headers: { "Content-Type": body.type }, body, signal });
    } catch (error) {
      if (!(error instanceof Passing) || error.seconds === null || left <= 0) throw error;
      for (let second = Math.min(Math.ceil(error.seconds), 60); second > 0; second--) {
        progress(`The server is busy. Next try in ${second} s`);
        await pause(1000, signal);
      }
      progress("The server runs the model");
    }
  }
}

async function sent(address, options) {
  let response;
  try {
    response = await fetch(address, options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Passing("The server does not answer. Check that it is running and that you are online.");
  }
  const text = await response.text();
  const answer = parsed(text);
  if (response.ok && answer?.maps) return answer;
  const wait = Number(response.headers.get("Retry-After") || NaN);
  const said = reason(answer) ?? `It sent ${text.trim().startsWith("<") ? "a web page" : "something"} instead of data, so it probably came from a proxy in front of it.`;
  const message = `The server answered ${response.status} ${response.statusText}. ${said}`;
  const passing = response.ok || response.status >= 500 || response.status === 429 || response.status === 408;
  throw passing ? new Passing(message, Number.isFinite(wait) ? wait : null) : new Error(message);
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

/** What an error body says: `detail` of RFC 9457, or expected, got and do. */
export function reason(answer) {
  if (typeof answer?.detail === "string") return sentence(answer.detail);
  if (answer?.expected) return sentence(`It expected ${answer.expected}, and got ${answer.got}; ${answer.do}`);
  return null;
}

function sentence(text) {
  const whole = text.charAt(0).toUpperCase() + text.slice(1);
  return /[.!?]$/.test(whole) ? whole : `${whole}.`;
}

/** Waits; ends early with an AbortError. */
export function pause(ms, signal) {
  return new Promise((resolve, reject) => {
    signal?.throwIfAborted();
    const stop = () => {
      clearTimeout(timer);
      reject(signal.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", stop);
      resolve();
    }, ms);
    signal?.addEventListener("abort", stop, { once: true });
  });
}

/** PNG in base64 -> its colours, red << 16 | green << 8 | blue, one number for each pixel. */
async function pixelsOf(base64) {
  const bytes = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
  const bitmap = await createImageBitmap(new Blob([bytes], { type: "image/png" }), { colorSpaceConversion: "none" });
  const brush = new OffscreenCanvas(bitmap.width, bitmap.height).getContext("2d", { willReadFrequently: true });
  brush.drawImage(bitmap, 0, 0);
  const { data } = brush.getImageData(0, 0, bitmap.width, bitmap.height);
  const colours = new Uint32Array(data.length / 4);
  for (let i = 0; i < colours.length; i++) colours[i] = (data[4 * i] << 16) | (data[4 * i + 1] << 8) | data[4 * i + 2];
  return colours;
}
