// Image and classes -> what is on the canvas.

const GAP_PX = 8;
const HEAT = [[12, 12, 20], [70, 30, 110], [180, 50, 90], [245, 130, 50], [255, 245, 190]]; // uncertainty 0..1

/**
 * @param {HTMLCanvasElement} canvas takes the size of what is drawn
 * @param {object} result with image (ImageData), classes, entropy
 * @param {{view: string, opacity: number, hidden: Set<number>, colours: number[][], stacked: boolean}} options
 */
export function draw(canvas, result, options) {
  const { width, height } = result.image;
  const views = options.view === "side" ? ["image", "both"] : [options.view];
  const [right, down] = options.stacked ? [0, height + GAP_PX] : [width + GAP_PX, 0];
  canvas.width = width + right * (views.length - 1);
  canvas.height = height + down * (views.length - 1);
  const brush = canvas.getContext("2d");
  views.forEach((view, i) => brush.putImageData(panel(result, { ...options, view }), i * right, i * down));
}

/** One view of a result as ImageData of the image's size. */
export function panel(result, { view, opacity, hidden, colours }) {
  const { width, height, data: image } = result.image;
  const made = new ImageData(width, height);
  const { data } = made;
  for (let i = 0; i < width * height; i++) {
    const id = result.classes[i];
    const colour = hidden.has(id) ? null : colours[id]; // void has none
    for (let channel = 0; channel < 3; channel++) {
      const at = 4 * i + channel;
      if (view === "image" || (view === "both" && !colour)) data[at] = image[at];
      else if (view === "both") data[at] = image[at] * (1 - opacity) + colour[channel] * opacity;
      else if (view === "classes") data[at] = colour ? colour[channel] : 0;
      else data[at] = heat((result.entropy?.[i] ?? 0) / 255, channel);
    }
    data[4 * i + 3] = view === "classes" && !colour ? 0 : 255;
  }
  return made;
}

function heat(value, channel) {
  const place = value * (HEAT.length - 1);
  const below = Math.min(Math.floor(place), HEAT.length - 2);
  return HEAT[below][channel] + (HEAT[below + 1][channel] - HEAT[below][channel]) * (place - below);
}

/**
 * Where a point of the canvas on the screen lies in the image.
 * @returns {[number, number] | null} x and y in pixels
 */
export function pointAt(canvas, result, clientX, clientY) {
  const box = canvas.getBoundingClientRect();
  const scale = Math.min(box.width / canvas.width, box.height / canvas.height); // as object-fit: contain
  const x = Math.floor((clientX - box.left - (box.width - canvas.width * scale) / 2) / scale);
  const y = Math.floor((clientY - box.top - (box.height - canvas.height * scale) / 2) / scale);
  if (x < 0 || y < 0 || x >= canvas.width || y >= canvas.height) return null;
  const { width, height } = result.image;
  const inside = [x % (width + GAP_PX), y % (height + GAP_PX)];
  return inside[0] < width && inside[1] < height ? inside : null;
}
