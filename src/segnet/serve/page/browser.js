// The model in this browser: a worker of its own, so that the page stays awake while it computes.

let worker = null;
let answered = null; // what to call with the worker's answer
let last = Promise.resolve(); // images come one after the other

/**
 * @param {object} model an entry of site.json with `onnx`
 * @param {string} runtime address of onnxruntime-web's module
 * @param {ImageData} pixels the image
 * @returns {Promise<object>} as segmentOnServer, without entropy
 */
export function segmentInBrowser(model, runtime, pixels) {
  last = last.catch(() => null).then(() => ask(model, runtime, pixels));
  return last;
}

async function ask(model, runtime, pixels) {
  worker ??= begin();
  const at = (path) => new URL(path, document.baseURI).href;
  const { classes, confidence, ms, threads } = await new Promise((resolve, reject) => {
    answered = { resolve, reject };
    worker.postMessage({ model: at(model.onnx), runtime: at(runtime), pixels, numClasses: model.class_names.length });
  });
  return { classes, confidence, entropy: null, ms, where: `in this browser (WebAssembly, threads: ${threads})` };
}

function begin() {
  const started = new Worker("model-worker.js", { type: "module" });
  started.onmessage = ({ data }) => (data.error ? answered.reject(new Error(data.error)) : answered.resolve(data));
  started.onerror = (event) => {
    worker = null;
    answered.reject(new Error(`The browser cannot run the model: ${event.message || "its worker did not load"}.`));
  };
  return started;
}
