// Runs an ONNX file of segnet by onnxruntime-web: pixels in, classes and their confidence out.

let session = null;
let by = ""; // what computes, for people

onmessage = async ({ data: { runtime, binary, graphics, bytes, pixels, numClasses } }) => {
  try {
    const ort = await import(runtime);
    if (binary) {
      ort.env.wasm.wasmPaths = new URL(".", runtime).href;
      ort.env.wasm.wasmBinary = binary;
      ort.env.wasm.numThreads = self.crossOriginIsolated ? Math.min(navigator.hardwareConcurrency || 1, 8) : 1;
    }
    if (bytes) {
      await session?.release();
      session = null;
      await open(ort, bytes, graphics, numClasses);
      postMessage({ opened: true });
    }
    const begun = performance.now();
    const answer = await segment(ort, session, pixels, numClasses);
    postMessage({ ...answer, ms: performance.now() - begun, by });
  } catch (error) {
    postMessage({ error: String(error.message ?? error) });
  }
};

/** The model on the graphics processor where that gives the classes of WebAssembly, otherwise by WebAssembly. */
async function open(ort, bytes, graphics, numClasses) {
  const threads = ort.env.wasm.numThreads;
  by = `WebAssembly, ${threads} thread${threads === 1 ? "" : "s"}`;
  session = await ort.InferenceSession.create(bytes, { executionProviders: ["wasm"] });
  if (!graphics) return;
  let fast = null;
  try {
    // Errors only: it warns of small operators that stay on the processor, as they should.
    fast = await ort.InferenceSession.create(bytes, { executionProviders: ["webgpu"], logSeverityLevel: 3 });
    const image = testImage();
    const expected = await segment(ort, session, image, numClasses);
    const got = await segment(ort, fast, image, numClasses);
    const differ = got.classes.filter((value, i) => value !== expected.classes[i]).length;
    if (differ > 0.01 * got.classes.length) throw new Error("it gives other classes");
    await session.release();
    session = fast;
    by = "WebGPU";
  } catch (error) {
    // Drivers refuse models and, rarely, compute something else: a slower answer is better than a wrong one.
    await fast?.release().catch(() => null);
    by += `; WebGPU failed: ${error.message ?? error}`;
  }
}

/** Waves of several lengths in three colours, RGBA; large enough for five poolings. */
function testImage(width = 64, height = 64) {
  const data = new Uint8ClampedArray(4 * width * height);
  for (let i = 0; i < data.length; i++) data[i] = 128 + 90 * Math.sin(i * 0.013) + 37 * Math.sin(i * i * 0.0007);
  return { data, width, height };
}

/** Classes and confidence of an image. */
async function segment(ort, model, pixels, numClasses) {
  const { width, height } = pixels;
  const image = new ort.Tensor("float32", planes(pixels), [1, 3, height, width]);
  const { logits } = await model.run({ image });
  const answer = highest(logits.data, numClasses, width * height);
  logits.dispose();
  return answer;
}

/** RGBA bytes -> three planes of floats in 0..1. */
function planes({ data }) {
  const size = data.length / 4;
  const values = new Float32Array(3 * size);
  for (let i = 0; i < size; i++) {
    for (let channel = 0; channel < 3; channel++) values[channel * size + i] = data[4 * i + channel] / 255;
  }
  return values;
}

/** Logits (K planes) -> the class of each pixel, and its probability in 0..255. */
function highest(logits, numClasses, size) {
  const classes = new Uint8Array(size);
  const confidence = new Uint8Array(size);
  for (let i = 0; i < size; i++) {
    let best = 0;
    for (let k = 1; k < numClasses; k++) if (logits[k * size + i] > logits[best * size + i]) best = k;
    let sum = 0;
    for (let k = 0; k < numClasses; k++) sum += Math.exp(logits[k * size + i] - logits[best * size + i]);
    classes[i] = best;
    confidence[i] = Math.round(255 / sum);
  }
  return { classes, confidence };
}
