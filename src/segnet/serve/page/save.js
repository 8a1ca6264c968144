// What the model said, as files of the image's own size.

import { encode } from "./image.js";
import { classLayer } from "./layers.js";
import { indexPng } from "./png.js";
import { enlarged } from "./result.js";

/** The mask: class ids with a palette, PNG. */
export function maskFile(result) {
  return indexPng(enlarged(result, ...result.from), ...result.from, result.model.class_colours);
}

/** The image under its colours, PNG: with the opacity, and without the classes that are off. */
export async function overlayFile(bitmap, result, { opacity, hidden }) {
  const [width, height] = result.from;
  const canvas = new OffscreenCanvas(width, height);
  const brush = canvas.getContext("2d");
  brush.fillStyle = "white";
  brush.fillRect(0, 0, width, height);
  brush.drawImage(bitmap, 0, 0, width, height);
  brush.globalAlpha = opacity;
  brush.drawImage(classLayer({ classes: enlarged(result, width, height), width, height }, result.model.class_colours, hidden), 0, 0);
  return encode(canvas.transferToImageBitmap(), "image/png");
}

/** Size, time, and the share of each class, JSON. */
export function summaryFile(name, { from, width, height, model, shares, where, ms }) {
  const classes = [...shares].map(([id, share]) => {
    return { id, name: model.class_names[id], colour: model.class_colours[id], share };
  });
  const sizes = { width: from[0], height: from[1], input_width: width, input_height: height };
  const told = { image: name, model: model.name, label_set: model.label_set, ...sizes, where, ms: Math.round(ms), classes };
  return new Blob([JSON.stringify(told, null, 1)], { type: "application/json" });
}

/** "street 1.jpg" -> "street 1": begins the names of its files. */
export function stem(name) {
  return name.replace(/\.[a-z0-9]{1,5}$/i, "").replace(/[\\/:*?"<>|\u0000-\u001f]/g, "_") || "image";
}

/** Stems of several names, each different: a second "a" becomes "a-2". */
export function stems(names) {
  const used = new Set();
  return names.map((name) => {
    let made = stem(name);
    for (let n = 2; used.has(made); n++) made = `${stem(name)}-${n}`;
    used.add(made);
    return made;
  });
}

/** Gives a file to the browser's downloads. */
export function save(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}
