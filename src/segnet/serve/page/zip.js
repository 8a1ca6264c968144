// A ZIP archive of files that are compressed already: they are stored as they are.

import { crcOf } from "./png.js";

const STAMP = [0, 0x21]; // time and date of every file: 1980-01-01, so that equal content gives equal archives

/**
 * @param {{name: string, bytes: Uint8Array}[]} files names with "/" between folders; up to 4 GB together
 * @returns {Blob}
 */
export function zipOf(files) {
  const parts = [];
  const directory = [];
  let at = 0;
  for (const { name, bytes } of files) {
    const label = new TextEncoder().encode(name);
    // version 2.0, names in UTF-8 (bit 11), stored, time, date, CRC, packed and own size, lengths of name and extra
    const about = [[2, 20], [2, 0x800], [2, 0], [2, STAMP[0]], [2, STAMP[1]], [4, crcOf(bytes)], [4, bytes.length], [4, bytes.length], [2, label.length], [2, 0]];
    const head = record(0x04034b50, about);
    directory.push(record(0x02014b50, [[2, 20], ...about, [2, 0], [2, 0], [2, 0], [4, 0], [4, at]]), label);
    parts.push(head, label, bytes);
    at += head.length + label.length + bytes.length;
  }
  const size = directory.reduce((sum, part) => sum + part.length, 0);
  const end = record(0x06054b50, [[2, 0], [2, 0], [2, files.length], [2, files.length], [4, size], [4, at], [2, 0]]);
  return new Blob([...parts, ...directory, end], { type: "application/zip" });
}

function record(mark, fields) {
  const all = [[4, mark], ...fields];
  const bytes = new Uint8Array(all.reduce((sum, [size]) => sum + size, 0));
  const view = new DataView(bytes.buffer);
  let at = 0;
  for (const [size, value] of all) {
    if (size === 2) view.setUint16(at, value, true);
    else view.setUint32(at, value, true);
    at += size;
  }
  return bytes;
}
