// Class maps and uncertainty -> coloured layers that the stage draws over the image.

const HEAT = [[13, 8, 40], [87, 16, 110], [188, 55, 84], [249, 142, 9], [252, 255, 164]]; // sure .. unsure
const DIMMED = 50; // of 255: classes beside the one that is pointed at

/** The colour of an uncertainty 0..1 as [red, green, blue]. */
export function heat(value) {
  const place = value * (HEAT.length - 1);
  const below = Math.min(Math.floor(place), HEAT.length - 2);
  return HEAT[below].map((low, channel) => Math.round(low + (HEAT[below + 1][channel] - low) * (place - below)));
}

/** The same colours as a CSS gradient, for the colour bar. */
export function heatGradient() {
  return `linear-gradient(to right, ${HEAT.map((colour) => `rgb(${colour.join(" ")})`).join(", ")})`;
}

/**
 * @param {{classes: Uint8Array, width: number, height: number}} map
 * @param {number[][]} colours by class id; ids without one are clear
 * @param {Set<number>} hidden class ids that are clear
 * @param {number | null} highlight class id that stands out
 * @returns {OffscreenCanvas}
 */
export function classLayer(map, colours, hidden, highlight = null) {
  const table = new Uint32Array(256);
  colours.forEach((colour, id) => {
    const alpha = hidden.has(id) ? 0 : highlight === null || highlight === id ? 255 : DIMMED;
    table[id] = rgba(colour, alpha);
  });
  return painted(map.classes, map.width, map.height, table);
}

/** Uncertainty 0..255 as colours. */
export function heatLayer(values, width, height) {
  const table = Uint32Array.from({ length: 256 }, (_, value) => rgba(heat(value / 255), 255));
  return painted(values, width, height, table);
}

function painted(values, width, height, table) {
  const canvas = new OffscreenCanvas(width, height);
  const image = new ImageData(width, height);
  const words = new Uint32Array(image.data.buffer);
  for (let i = 0; i < words.length; i++) words[i] = table[values[i]];
  canvas.getContext("2d").putImageData(image, 0, 0);
  return canvas;
}

/** One pixel as a word in memory; every machine with a browser is little-endian. */
function rgba([red, green, blue], alpha) {
  return ((alpha << 24) | (blue << 16) | (green << 8) | red) >>> 0;
}
