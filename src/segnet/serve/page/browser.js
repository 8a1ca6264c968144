// The net in this browser: a worker of its own, so that the page stays awake while it computes.

let worker = null;
let waiting = null;

/**
 * @param {object} model an entry of site.json with `onnx`
 * @param {string} runtime address of onnxruntime-web's module
 * @param {ImageData} pixels the picture
 * @returns {Promise<object>} as segmentOnServer, without entropy
 */
export async function segmentInBrowser(model, runtime, pixels) {
  if (waiting) throw new Error("The net is still busy with another picture.");
  worker ??= begin();
  const at = (path) => new URL(path, document.baseURI).href;
  const answer = await new Promise((resolve, reject) => {
    waiting = { resolve, reject };
    worker.postMessage({ net: at(model.onnx), runtime: at(runtime), pixels, numClasses: model.class_names.length });
  }).finally(() => (waiting = null));
  const { classes, confidence, ms, threads } = answer;
  return { classes, confidence, entropy: null, ms, where: `in this browser (WebAssembly, threads: ${threads})` };
}

function begin() {
  const started = new Worker("net-worker.js", { type: "module" });
  started.onmessage = ({ data }) => (data.error ? waiting?.reject(new Error(data.error)) : waiting?.resolve(data));
  started.onerror = (event) => {
    waiting?.reject(new Error(`The browser cannot run the net: ${event.message || "its worker did not load"}.`));
    worker = null;
  };
  return started;
}
