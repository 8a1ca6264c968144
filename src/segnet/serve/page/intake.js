// How images come in: chosen, dropped, or pasted. Whatever cannot be taken is said, with what to do.

import { formatOf, helpFor } from "./formats.js";
import { decode, thumbnail } from "./image.js";

const MOST = 200; // images of one visit: each keeps its file and its result in memory
const $ = (id) => document.getElementById(id);

/**
 * Listens to the file button, drops and pastes.
 * @param {{count: () => number, image: (file: File, thumb: string, first: boolean) => void,
 *   video: (file: File, first: boolean) => void, refused: (text: string) => void}} told of each file, in order, and of
 *   those that are refused in one text at the end; first: the first of those that came together
 */
export function listen(told) {
  $("file").onchange = ({ target }) => {
    const files = [...target.files];
    target.value = ""; // so that the same file can be chosen again
    take(files, told);
  };
  let depth = 0; // of the elements that a drag is over: it enters one before it leaves the other
  const over = (more) => {
    depth = Math.max(0, more === 0 ? 0 : depth + more);
    $("stage").classList.toggle("over", depth > 0);
    $("drop-hint").hidden = depth === 0;
  };
  document.addEventListener("dragenter", () => over(1));
  document.addEventListener("dragleave", () => over(-1));
  document.addEventListener("dragover", (event) => event.preventDefault());
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    over(0);
    dropped(event.dataTransfer, told);
  });
  document.addEventListener("paste", (event) => pasted(event.clipboardData, told));
}

function dropped(data, told) {
  const folders = [...data.items].map((item) => item.webkitGetAsEntry?.()).filter((entry) => entry?.isDirectory);
  const names = folders.map((folder) => folder.name);
  const files = [...data.files].filter((file) => !names.includes(file.name));
  const extra = names.map((name) => `${name}: this is a folder. Open it and drop the images in it.`);
  if (files.length || extra.length) return take(files, told, extra);
  if (data.types.includes("text/uri-list")) {
    return told.refused("A link was dropped, and this page does not load files from other sites. Save the image, or copy the image itself and paste it here.");
  }
  return told.refused("Text was dropped, not an image. Drop image files from a folder.");
}

function pasted(data, told) {
  if (data.files.length) return take([...data.files], told);
  const text = data.getData("text/plain").trim();
  if (/^(https?:|data:)\S+$/.test(text)) {
    return told.refused("An address was pasted, and this page does not load files from other sites. Copy the image itself (right-click on it, 'Copy image') and paste that.");
  }
  return told.refused(
    text
      ? "Text was pasted, not an image. Copy an image, or take a screenshot, and paste again."
      : "The clipboard holds no image. Copy an image, or take a screenshot, and paste again.",
  );
}

async function take(files, told, refusals = []) {
  let first = true;
  for (const file of files) {
    if (told.count() >= MOST) {
      refusals.push(`${file.name}: the page holds ${MOST} images at most. Remove some first, or use the command line: segnet predict FOLDER`);
      break;
    }
    try {
      const format = await formatOf(file);
      if (format === "video") {
        told.video(file, first);
      } else if (["empty", "text", "PDF", "ZIP", "SVG", "TIFF"].includes(format)) {
        throw new Error(`${file.name}: ${helpFor(format)}.`);
      } else {
        const bitmap = await decode(file, file.name);
        const thumb = await thumbnail(bitmap);
        bitmap.close();
        told.image(file, thumb, first);
      }
      first = false;
    } catch (error) {
      const unread = error.name === "NotReadableError" || error.name === "NotFoundError";
      refusals.push(unread ? `${file.name}: the file cannot be read. It was moved, or this page may not open it.` : error.message);
    }
  }
  if (refusals.length) told.refused(refusals.join("\n"));
}
