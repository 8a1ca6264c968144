// Files and frames -> pixels as a model takes them, and back to files.

import { formatOf, helpFor } from "./formats.js";

/**
 * @param {Blob} file
 * @param {string} name for the message
 * @returns {Promise<ImageBitmap>} of the image's own size, turned as its EXIF says
 * @throws {Error} with a message for people
 */
export async function decode(file, name) {
  try {
    return await createImageBitmap(file);
  } catch {
    throw new Error(`${name}: ${helpFor(await formatOf(file))}.`);
  }
}

/**
 * @param {CanvasImageSource} source
 * @param {[number, number]} from its width and height
 * @param {{longest: number, maxPixels: number | null}} limits longest side in pixels, 0 for any; pixels of the image
 * @returns {ImageData} RGBA without transparency, never larger than the source
 */
export function scaled(source, from, { longest, maxPixels }) {
  let scale = longest ? Math.min(1, longest / Math.max(...from)) : 1;
  if (maxPixels) scale = Math.min(scale, Math.sqrt(maxPixels / (from[0] * from[1])));
  const [width, height] = from.map((side) => Math.max(1, Math.floor(side * scale)));
  const brush = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true });
  brush.fillStyle = "white"; // under transparency, as on the server
  brush.fillRect(0, 0, width, height);
  brush.imageSmoothingQuality = "high";
  brush.drawImage(source, 0, 0, width, height);
  return brush.getImageData(0, 0, width, height);
}

/** A small copy for the film strip: address of a Blob. */
export async function thumbnail(bitmap) {
  const scale = Math.min(1, 240 / Math.max(bitmap.width, bitmap.height));
  const canvas = new OffscreenCanvas(Math.ceil(bitmap.width * scale), Math.ceil(bitmap.height * scale));
  canvas.getContext("2d").drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  return URL.createObjectURL(await canvas.convertToBlob({ type: "image/png" }));
}

/** ImageData or ImageBitmap -> Blob of a type such as "image/png". */
export async function encode(pixels, type, quality) {
  const canvas = new OffscreenCanvas(pixels.width, pixels.height);
  const brush = canvas.getContext("2d");
  if (pixels instanceof ImageData) brush.putImageData(pixels, 0, 0);
  else brush.drawImage(pixels, 0, 0);
  return canvas.convertToBlob({ type, quality });
}
