// What a file is, by its first bytes; and what to do with those that a browser cannot show.

const SHOWN = "PNG, JPEG, WebP, GIF, AVIF or BMP";
const HELP = {
  TIFF: "browsers do not show TIFF (nor most camera raw files). Save it as PNG, or use the command line: segnet predict image.tif",
  HEIC: "this browser does not read HEIC, the format of iPhones. Save it as JPEG, or set the phone to 'Most compatible' under Settings, Camera, Formats",
  SVG: "SVG is a drawing without pixels. Export it as PNG first",
  PDF: "PDF is a document. Save the page or the image in it as PNG first",
  ZIP: "this is an archive. Unpack it and choose the images in it",
  "JPEG XL": "this browser does not read JPEG XL. Save it as JPEG or PNG",
  Photoshop: "browsers do not read Photoshop files. Export it as PNG",
  text: "this is text, not an image",
  empty: "the file has no bytes",
  video: "this browser does not play this video. Convert it to MP4 with H.264, or use the command line: segnet predict video.mov",
};
const NAMES = [
  [/^(II\*\0|MM\0\*|II\+\0|MM\0\+)/, "TIFF"],
  [/^....ftyp(heic|heix|hevc|hevx|heim|heis|mif1|msf1)/s, "HEIC"],
  [/^....ftypavi[fs]/s, "image"],
  [/^....ftyp/s, "video"],
  [/^\x1aE\xdf\xa3|^OggS|^RIFF....AVI |^\0\0\x01[\xb3\xba]/s, "video"],
  [/^(\x89PNG|\xff\xd8\xff|GIF8|BM|RIFF....WEBP)/s, "image"],
  [/^(\xff\x0a|\0\0\0\x0cJXL )/, "JPEG XL"],
  [/^%PDF/, "PDF"],
  [/^PK\x03\x04/, "ZIP"],
  [/^8BPS/, "Photoshop"],
  [/^(\xef\xbb\xbf)?\s*(<\?xml[^]*<svg|<svg|<!DOCTYPE svg)/, "SVG"],
  [/^[\t\n\r -~\x80-\xff]{16,}$/, "text"],
];

/**
 * @param {Blob} file
 * @returns {Promise<string>} "image", "video", "empty", one of the formats above, or "unknown"
 */
export async function formatOf(file) {
  if (!file.size) return "empty";
  const bytes = new Uint8Array(await file.slice(0, 512).arrayBuffer());
  const head = String.fromCharCode(...bytes);
  return NAMES.find(([pattern]) => pattern.test(head))?.[1] ?? "unknown";
}

/** Why a file of this format is not shown, and what to do: a clause without a full stop. */
export function helpFor(format) {
  if (format === "image") return `the file is damaged, cut short or too large for this browser. Save it again as PNG or JPEG`;
  return HELP[format] ?? `this is no image that the browser reads. Choose a ${SHOWN} file`;
}
