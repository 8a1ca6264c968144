// The model on the server: one POST, one JSON answer with maps inside.

import { encode } from "./image.js";

/** The server is busy; try again in `seconds`. */
export class Busy extends Error {
  constructor(seconds, text) {
    super(text);
    this.seconds = seconds;
  }
}

/**
 * @param {object} model an entry of site.json
 * @param {ImageData} pixels the image
 * @param {{samples: number, live: boolean}} wishes samples of a Bayesian model; whether many images follow
 * @returns {Promise<object>} classes, confidence and entropy (Uint8Array each, entropy or null), ms, where
 */
export async function segmentOnServer(model, pixels, { samples, live }) {
  const maps = ["classes", "confidence", ...(samples ? ["entropy"] : [])];
  const query = new URLSearchParams([["model", model.name], ["samples", samples], ...maps.map((name) => ["maps", name])]);
  const body = await encode(pixels, live ? "image/jpeg" : "image/png", 0.92);
  const begun = performance.now();
  let response;
  try {
    response = await fetch(`v1/segment?${query}`, { method: "POST", headers: { "Content-Type": body.type }, body });
  } catch {
    throw new Error("The server does not answer. Is segnet serve still running?");
  }
  const answer = await response.json();
  if (!response.ok) {
    const text = `The server expected ${answer.expected} and got ${answer.got}: ${answer.do}.`;
    if (response.headers.has("Retry-After")) throw new Busy(Number(response.headers.get("Retry-After")), text);
    throw new Error(text);
  }
  const ids = new Map(model.class_colours.map(([red, green, blue], id) => [(red << 16) | (green << 8) | blue, id]));
  const [classes, confidence, entropy] = await Promise.all(maps.map((name) => pixelsOf(answer.maps[name])));
  return {
    classes: Uint8Array.from(classes, (colour) => ids.get(colour) ?? 255),
    confidence: Uint8Array.from(confidence, (colour) => colour & 255),
    entropy: entropy ? Uint8Array.from(entropy, (colour) => colour & 255) : null,
    ms: performance.now() - begun,
    where: `on the server (${answer.backend}; the model alone ${Math.round(answer.model_ms)} ms)`,
  };
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
