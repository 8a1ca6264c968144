// Any source of pixels -> an image of at most so many, as a model takes it.

/** An image that cannot be read; its message is for people. */
export class ImageError extends Error {}

/**
 * @param {Blob | ImageData} source a file, or a frame of the camera
 * @param {{longest: number, maxPixels: number | null}} limits longest side in pixels, 0 for any; pixels of the image
 * @returns {Promise<{pixels: ImageData, from: [number, number]}>} RGBA without transparency, and its own width and height
 */
export async function readImage(source, limits) {
  let bitmap;
  try {
    bitmap = await createImageBitmap(source);
  } catch {
    throw new ImageError("This is not an image that the browser can read. Take a PNG, JPEG, WebP, GIF or BMP.");
  }
  const from = [bitmap.width, bitmap.height];
  let scale = limits.longest ? Math.min(1, limits.longest / Math.max(...from)) : 1;
  if (limits.maxPixels) scale = Math.min(scale, Math.sqrt(limits.maxPixels / (from[0] * from[1])));
  const [width, height] = from.map((side) => Math.max(1, Math.floor(side * scale)));
  const canvas = new OffscreenCanvas(width, height);
  const brush = canvas.getContext("2d", { willReadFrequently: true });
  brush.fillStyle = "white"; // under transparency, as on the server
  brush.fillRect(0, 0, width, height);
  brush.imageSmoothingQuality = "high";
  brush.drawImage(bitmap, 0, 0, width, height);
  bitmap.close();
  return { pixels: brush.getImageData(0, 0, width, height), from };
}

/** ImageData -> Blob of a type such as "image/png". */
export async function encode(pixels, type, quality) {
  const canvas = new OffscreenCanvas(pixels.width, pixels.height);
  canvas.getContext("2d").putImageData(pixels, 0, 0);
  return canvas.convertToBlob({ type, quality });
}
