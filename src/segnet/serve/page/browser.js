// The model in this browser: a worker of its own, so that the page stays awake while it computes.

import { Passing, reason } from "./server.js";

const kept = new Map(); // address -> its bytes: a worker that was cancelled costs no second download
let worker = null;
let graphics; // whether WebGPU is used; asked once
let opened = null; // address of the model that the worker holds
let last = Promise.resolve(); // images come one after the other

/**
 * @param {object} model an entry of site.json with `onnx`
 * @param {object} runtimes of site.json: onnxruntime-web's module and binary, as `wasm` and perhaps as `webgpu`
 * @param {ImageData} pixels the image
 * @param {{signal: AbortSignal, progress: (text: string, share?: number) => void}} options
 * @returns {Promise<object>} as segmentOnServer, without entropy
 */
export function segmentInBrowser(model, runtimes, pixels, options) {
  last = last.catch(() => null).then(() => run(model, runtimes, pixels, options));
  return last;
}

async function run(model, runtimes, pixels, { signal, progress }) {
  graphics ??= Boolean(runtimes.webgpu) && (await hasGraphics());
  signal.throwIfAborted();
  const runtime = graphics ? runtimes.webgpu : runtimes.wasm;
  const at = (path) => new URL(path, document.baseURI).href;
  const message = { model: at(model.onnx), runtime: at(runtime.module), graphics, pixels, numClasses: model.class_names.length };
  if (!worker) message.binary = await downloaded(at(runtime.binary), "the runtime", { signal, progress });
  if (!worker || opened !== message.model) message.bytes = await downloaded(message.model, "the model", { signal, progress });
  progress(message.bytes ? "The browser opens the model" : "The browser runs the model");
  const { classes, confidence, ms, by } = await answer(message, signal, progress);
  opened = message.model;
  return { classes, confidence, entropy: null, ms, where: `in this browser (${by})` };
}

/**
 * Whether the browser lets pages compute on a graphics processor. A software stand-in for one is slower than WebAssembly
 * and does not count, unless the address of the page ends in ?webgpu=any; ?webgpu=no leaves WebGPU alone.
 */
async function hasGraphics() {
  const asked = new URLSearchParams(location.search).get("webgpu");
  if (asked === "no") return false;
  const adapter = await navigator.gpu?.requestAdapter().catch(() => null);
  return Boolean(adapter) && (asked === "any" || !isSoftware(adapter.info ?? {}));
}

const isSoftware = ({ isFallbackAdapter, architecture }) => Boolean(isFallbackAdapter) || architecture === "swiftshader";

/** Sends the image to the worker; a cancelled worker ends, and the next image begins another one. */
function answer(message, signal, progress) {
  return new Promise((resolve, reject) => {
    const stop = () => {
      end();
      reject(signal.reason);
    };
    signal.addEventListener("abort", stop, { once: true });
    const done = (settle, value) => {
      signal.removeEventListener("abort", stop);
      settle(value);
    };
    worker ??= new Worker("model-worker.js", { type: "module" });
    worker.onmessage = ({ data }) => {
      if (data.opened) return progress("The browser runs the model");
      if (!data.error) return done(resolve, data);
      end();
      done(reject, new Error(`The model does not run in this browser: ${data.error}`));
    };
    worker.onerror = (event) => {
      end();
      done(reject, new Error(`The model does not run in this browser: ${event.message || "its worker did not load"}.`));
    };
    worker.postMessage(message);
  });
}

function end() {
  worker?.terminate();
  worker = opened = null;
}

/** Bytes of a file, with progress; they are kept. */
async function downloaded(address, what, { signal, progress }) {
  if (!kept.has(address)) {
    let response;
    progress(`Download of ${what}`);
    try {
      response = await fetch(address, { signal });
      if (response.ok) kept.set(address, await received(response, what, progress));
    } catch (error) {
      if (error.name === "AbortError") throw error;
      throw new Passing(`The download of ${what} broke off. Check that the server is running and that you are online.`);
    }
    if (!response.ok) {
      const said = reason(await response.json().catch(() => null)) ?? `${address} is not there.`;
      throw new Passing(`The download of ${what} failed with ${response.status} ${response.statusText}. ${said}`);
    }
  }
  return kept.get(address);
}

async function received(response, what, progress) {
  const packed = response.headers.has("Content-Encoding"); // then the length is of the packed bytes
  const total = packed ? 0 : Number(response.headers.get("Content-Length") ?? 0);
  const parts = [];
  let size = 0;
  for (const reader = response.body.getReader(); ; ) {
    const { done, value } = await reader.read();
    if (done) return new Uint8Array(await new Blob(parts).arrayBuffer());
    parts.push(value);
    size += value.length;
    const of = total ? ` of ${megabytes(total)}` : "";
    progress(`Download of ${what}: ${megabytes(size)}${of} MB`, total ? size / total : undefined);
  }
}

const megabytes = (bytes) => (bytes / 1e6).toFixed(1);
