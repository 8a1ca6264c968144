// Runs an ONNX file of segnet by onnxruntime-web: pixels in, classes and their confidence out.

let session = null;

onmessage = async ({ data: { runtime, wasm, bytes, pixels, numClasses } }) => {
  try {
    const ort = await import(runtime);
    if (wasm) {
      ort.env.wasm.wasmPaths = new URL(".", runtime).href;
      ort.env.wasm.wasmBinary = wasm;
      ort.env.wasm.numThreads = self.crossOriginIsolated ? Math.min(navigator.hardwareConcurrency || 1, 8) : 1;
    }
    if (bytes) {
      await session?.release();
      session = await ort.InferenceSession.create(bytes);
      postMessage({ opened: true });
    }
    const begun = performance.now();
    const { width, height } = pixels;
    const image = new ort.Tensor("float32", planes(pixels), [1, 3, height, width]);
    const { logits } = await session.run({ image });
    const answer = highest(logits.data, numClasses, width * height);
    postMessage({ ...answer, ms: performance.now() - begun, threads: ort.env.wasm.numThreads });
  } catch (error) {
    postMessage({ error: String(error.message ?? error) });
  }
};

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
