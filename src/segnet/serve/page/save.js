// What the model said, as files.

import { panel } from "./draw.js";
import { encode } from "./image.js";
import { indexPng } from "./png.js";

/** classes.png: class ids with a palette, of the size that the model saw. */
export async function saveClasses({ classes, image, model }) {
  save(await indexPng(classes, image.width, image.height, model.class_colours), "classes.png");
}

/** overlay.png: as it is shown, with its opacity and without the classes that are off. */
export async function saveOverlay(result, { opacity, hidden }) {
  const options = { view: "both", opacity, hidden, colours: result.model.class_colours };
  save(await encode(panel(result, options), "image/png"), "overlay.png");
}

/** summary.json: size, time, and the share of each class. */
export function saveSummary({ image, model, shares, where, ms }) {
  const classes = [...shares].map(([id, share]) => {
    return { id, name: model.class_names[id], colour: model.class_colours[id], share };
  });
  const size = { width: image.width, height: image.height };
  const told = { model: model.name, label_set: model.label_set, ...size, where, ms: Math.round(ms), classes };
  save(new Blob([JSON.stringify(told, null, 1)], { type: "application/json" }), "summary.json");
}

function save(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}
