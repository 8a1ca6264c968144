// The buttons that save what the model said.

import { maskFile, overlayFile, save, stem, stems, summaryFile } from "./save.js";
import { progress, tell } from "./messages.js";
import { zipOf } from "./zip.js";

const $ = (id) => document.getElementById(id);

/**
 * @param {{shown: () => {name: string, bitmap: ImageBitmap, result: object}, look: () => {opacity: number,
 *   hidden: Set<number>}, done: () => object[], open: (item: object) => Promise<ImageBitmap>}} page what is shown; how;
 *   the items that have a result; and their images
 */
export function offerDownloads(page) {
  const one = (id, ending, make) => {
    $(id).onclick = () =>
      guarded(async () => {
        const { name, bitmap, result } = page.shown();
        save(await make(name, bitmap, result), `${stem(name)}-${ending}`);
      });
  };
  one("save-classes", "mask.png", (_, __, result) => maskFile(result));
  one("save-overlay", "overlay.png", (_, bitmap, result) => overlayFile(bitmap, result, page.look()));
  one("save-json", "summary.json", (name, _, result) => summaryFile(name, result));
  $("save-zip").onclick = () => guarded(() => saveAll(page));
}

async function saveAll({ done, open, look }) {
  const items = done();
  const names = stems(items.map((item) => item.name));
  const files = [];
  try {
    for (const [i, item] of items.entries()) {
      progress(`Packing ${i + 1} of ${items.length}`, i / items.length);
      const bitmap = await open(item);
      const parts = {
        "mask.png": await maskFile(item.result),
        "overlay.png": await overlayFile(bitmap, item.result, look()),
        "summary.json": summaryFile(item.name, item.result),
      };
      bitmap.close();
      for (const [ending, blob] of Object.entries(parts)) {
        files.push({ name: `${names[i]}-${ending}`, bytes: new Uint8Array(await blob.arrayBuffer()) });
      }
    }
  } finally {
    progress("");
  }
  save(zipOf(files), "segnet.zip");
}

async function guarded(make) {
  try {
    await make();
  } catch (error) {
    tell(`The file was not made: ${error.message}. A smaller image may help.`);
  }
}
