// What a model says of an image: its class map, at any size, and the share of each class.

const MOST_SHOWN = 2_400_000; // pixels of a map on the screen: one repaint stays within a frame or two

/**
 * @param {object} answer of segmentOnServer or segmentInBrowser
 * @param {{model: object, pixels: ImageData, from: [number, number], key: string}} about model: entry of site.json;
 *   pixels: what it saw; from: width and height of the image itself; key: of the settings
 */
export function resultOf(answer, { model, pixels, from, key }) {
  const { width, height } = pixels;
  return { ...answer, model, width, height, from, key, shares: shares(answer.classes), map: null };
}

/** How many pixels each class has: Map of class id -> share 0..1, largest first; void (255) left out. */
export function shares(classes) {
  const counts = new Uint32Array(256);
  for (const id of classes) counts[id]++;
  const present = [...counts.keys()].filter((id) => counts[id] && id !== 255);
  return new Map(present.sort((a, b) => counts[b] - counts[a]).map((id) => [id, counts[id] / classes.length]));
}

/** The class map for the screen: of the image's own size, or less for very large images. Kept in the result. */
export function shownMap(result) {
  if (!result.map) {
    const [width, height] = result.from;
    const scale = Math.min(1, Math.sqrt(MOST_SHOWN / (width * height)));
    const size = [Math.max(Math.round(width * scale), result.width), Math.max(Math.round(height * scale), result.height)];
    result.map = { width: size[0], height: size[1], classes: enlarged(result, ...size) };
  }
  return result.map;
}

/** The class map of the size that the model saw; for live images, where time matters. */
export function smallMap({ classes, width, height }) {
  return { classes, width, height };
}

/**
 * The class map at another size: each pixel takes the class with the largest sum of bilinear weight times confidence
 * among the four around it, so that borders come out smooth and no new class appears.
 * @returns {Uint8Array} class ids, row by row
 */
export function enlarged({ classes, confidence, width, height }, wide, high) {
  if (wide === width && high === height) return classes;
  const made = new Uint8Array(wide * high);
  const across = axis(width, wide);
  const down = axis(height, high);
  for (let y = 0, to = 0; y < high; y++) {
    const [upper, lower, fy] = [down.first[y] * width, down.second[y] * width, down.part[y]];
    for (let x = 0; x < wide; x++, to++) {
      const [left, right] = [across.first[x], across.second[x]];
      const id = classes[upper + left];
      const same = id === classes[upper + right] && id === classes[lower + left] && id === classes[lower + right];
      made[to] = same ? id : vote(classes, confidence, [upper + left, upper + right, lower + left, lower + right], across.part[x], fy);
    }
  }
  return made;
}

/** The class with the most weight among four places: the corners of a square, at a point (fx, fy) inside it. */
function vote(classes, confidence, places, fx, fy) {
  const shares = [(1 - fx) * (1 - fy), fx * (1 - fy), (1 - fx) * fy, fx * fy];
  const weights = shares.map((share, i) => share * (1 + confidence[places[i]]));
  const sums = places.map((place) => weights.reduce((sum, weight, i) => sum + (classes[places[i]] === classes[place] ? weight : 0), 0));
  return classes[places[sums.indexOf(Math.max(...sums))]];
}

/** For each of `to` places along an axis: the two of `from` around it, and how far it lies from the first. */
function axis(from, to) {
  const [first, second, part] = [new Uint32Array(to), new Uint32Array(to), new Float64Array(to)];
  for (let i = 0; i < to; i++) {
    const place = Math.min(Math.max(((i + 0.5) * from) / to - 0.5, 0), from - 1);
    first[i] = Math.floor(place);
    second[i] = Math.min(first[i] + 1, from - 1);
    part[i] = place - first[i];
  }
  return { first, second, part };
}

/** How unsure each pixel is, 0..255: entropy of samples where there are some, else 1 minus the probability. */
export function unsure({ entropy, confidence }) {
  return entropy ?? confidence.map((value) => 255 - value);
}
