// The page: what its controls do. One image at a time: read, segment, draw.

import { segmentInBrowser } from "./browser.js";
import { frameOf, startCamera, stopCamera } from "./camera.js";
import { draw, pointAt } from "./draw.js";
import { shares, showLegend } from "./legend.js";
import { readImage } from "./image.js";
import { saveClasses, saveOverlay, saveSummary } from "./save.js";
import { Busy, segmentOnServer } from "./server.js";

const SAMPLES_OF_DROPOUT = 8;
const $ = (id) => document.getElementById(id);
const canvas = $("canvas");
const site = await (await fetch("site.json")).json();

const hidden = new Set(); // class ids that are switched off
let source = null; // the Blob or the camera's frame that is shown
let result = null; // what the model said of it
let point = null; // whose class is told
let turn = 0; // of images: an answer that comes after the next image was taken is thrown away
let session = null; // of the camera, from the click that starts it to its end: who finds another one is late
let live = false; // whether the camera plays

// ------------------------------------------------------------------------------------------------ what is chosen

const model = () => site.models[$("model").selectedIndex];
const chosen = (name) => document.querySelector(`input[name=${name}]:checked`)?.value;
const radio = (name, value) => document.querySelector(`input[name=${name}][value=${value}]`);

function offer() {
  const { server, onnx, bayesian } = model();
  radio("where", "server").disabled = !server;
  radio("where", "browser").disabled = !onnx;
  if (!chosen("where") || document.querySelector("input[name=where]:checked").disabled) {
    radio("where", server ? "server" : "browser").checked = true;
  }
  const sampled = bayesian && chosen("where") === "server";
  radio("view", "uncertainty").disabled = !sampled;
  if (!sampled && chosen("view") === "uncertainty") radio("view", "both").checked = true;
  const notes = [];
  if (chosen("where") === "browser") notes.push("No image leaves this machine.");
  if (!onnx && site.why_no_browser) notes.push(`Not in this browser: ${site.why_no_browser}.`);
  if (!sampled) notes.push("Uncertainty needs a Bayesian model on the server.");
  else if (chosen("view") === "uncertainty") notes.push(`Dark is sure, bright is not: entropy of the mean of ${SAMPLES_OF_DROPOUT} samples.`);
  $("note").textContent = notes.join(" ");
}

// ------------------------------------------------------------------------------------------------ one image

async function segment(image) {
  const own = ++turn;
  const [chosenModel, where] = [model(), chosen("where")];
  const limits = { longest: Number($("detail").value), maxPixels: where === "server" ? site.max_pixels : null };
  const { pixels, from } = await readImage(image, limits);
  const samples = chosen("view") === "uncertainty" ? SAMPLES_OF_DROPOUT : 0;
  const answer =
    where === "server"
      ? await segmentOnServer(chosenModel, pixels, { samples, live })
      : await segmentInBrowser(chosenModel, site.runtime, pixels);
  if (own !== turn) return;
  result = { ...answer, source: image, image: pixels, from, model: chosenModel, shares: shares(answer.classes) };
}

async function run() {
  if (!source || live) return;
  busy(chosen("where") === "browser" ? "The model runs in this browser ..." : "The server looks at it ...");
  const own = turn + 1;
  let wrong = "";
  try {
    await segment(source);
  } catch (error) {
    wrong = error.message;
  }
  if (own !== turn) return; // another image was taken meanwhile, or the camera began
  complain(wrong);
  busy("");
  show();
}

async function take(blob, button) {
  if (session) endLive();
  source = blob;
  for (const other of $("samples").querySelectorAll("button")) other.setAttribute("aria-pressed", other === button);
  await run();
}

// ------------------------------------------------------------------------------------------------ what is shown

function show() {
  if (!result) return;
  const { width, height } = result.image;
  canvas.hidden = false;
  $("empty").hidden = true;
  const stacked = canvas.parentElement.clientWidth < 600 && width > height;
  const options = { view: chosen("view"), opacity: opacity(), hidden, colours: result.model.class_colours, stacked };
  draw(canvas, result, options);
  const present = live ? new Map([...result.shares].sort(([a], [b]) => a - b)) : result.shares;
  showLegend($("legend"), result.model, present, hidden, toggle);
  for (const id of ["save-classes", "save-overlay", "save-json"]) $(id).disabled = false;
  const scaled = result.from[0] === width ? "" : `, scaled from ${result.from.join(" x ")}`;
  $("told").textContent = `${width} x ${height}${scaled}: ${time(result.ms)} ${result.where}`;
  tell();
}

const opacity = () => Number($("opacity").value) / 100;
const time = (ms) => (ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`);

function toggle(id) {
  if (!hidden.delete(id)) hidden.add(id);
  show();
}

function tell() {
  const { width, height } = result.image;
  if (!point || point[0] >= width || point[1] >= height) {
    $("readout").textContent = "Point at the image: its class is told here.";
    return;
  }
  const [x, y] = point;
  const at = y * width + x;
  const id = result.classes[at];
  const swatch = document.createElement("i");
  swatch.style.background = `rgb(${(result.model.class_colours[id] ?? [0, 0, 0]).join(" ")})`;
  const sure = `${Math.round((100 * result.confidence[at]) / 255)} % sure`;
  const entropy = (result.entropy?.[at] / 255) * Math.log(result.model.class_names.length);
  const unsure = result.entropy ? `, entropy ${entropy.toFixed(2)} nats` : "";
  $("readout").replaceChildren(swatch, `${result.model.class_names[id] ?? "void"}, ${sure}${unsure} (x ${x}, y ${y})`);
}

function complain(text) {
  $("message").textContent = text;
  $("message").hidden = !text;
  if (text) $("message").scrollIntoView({ block: "nearest" });
}

function busy(text) {
  $("busy-text").textContent = text;
  $("busy").hidden = !text;
}

// ------------------------------------------------------------------------------------------------ live

async function beginLive() {
  const own = (session = Symbol("session"));
  const expected = () => own === session;
  $("camera").setAttribute("aria-pressed", "true");
  try {
    await startCamera($("video"), expected);
  } catch (error) {
    endLive();
    complain(error.message);
    return;
  }
  if (!expected()) return;
  live = true;
  complain("");
  busy(""); // an image under way is not waited for
  while (expected()) {
    try {
      const frame = frameOf($("video"));
      await segment(frame);
      if (!expected()) return;
      source = frame;
      show();
    } catch (error) {
      if (!expected()) return;
      if (error instanceof Busy) {
        await new Promise((wake) => setTimeout(wake, 1000 * error.seconds));
      } else {
        endLive();
        complain(error.message);
      }
    }
  }
}

function endLive() {
  session = null;
  if (live) turn++; // the frame under way is not waited for; an image is, if the camera had not begun
  live = false;
  stopCamera($("video"));
  $("camera").setAttribute("aria-pressed", "false");
}

function toggleCamera() {
  const played = live;
  if (session) endLive();
  else beginLive();
  if (played && result?.source !== source) run(); // an image that the camera came before
}

// ------------------------------------------------------------------------------------------------ controls

$("save-classes").onclick = () => saveClasses(result);
$("save-overlay").onclick = () => saveOverlay(result, { opacity: opacity(), hidden });
$("save-json").onclick = () => saveSummary(result);
$("file").onchange = ({ target }) => {
  if (target.files[0]) take(target.files[0]);
  target.value = "";
};
$("camera").onclick = toggleCamera;
$("opacity").oninput = () => {
  $("opacity-text").textContent = `${$("opacity").value} %`;
  show();
};
$("all").onclick = () => {
  hidden.clear();
  show();
};
$("none").onclick = () => {
  for (const id of result?.shares.keys() ?? []) hidden.add(id);
  show();
};
$("model").onchange = () => {
  hidden.clear();
  offer();
  run();
};
$("detail").onchange = run;
for (const input of document.querySelectorAll("input[name=where]")) {
  input.onchange = () => {
    offer();
    run();
  };
}
for (const input of document.querySelectorAll("input[name=view]")) {
  input.onchange = () => {
    offer();
    if (input.value === "uncertainty" && !result?.entropy) run();
    else show();
  };
}

document.ondragover = (event) => {
  event.preventDefault();
  $("drop").classList.add("over");
};
document.ondragleave = () => $("drop").classList.remove("over");
document.ondrop = (event) => {
  event.preventDefault();
  $("drop").classList.remove("over");
  const file = event.dataTransfer.files[0];
  if (file) take(file);
  else complain("What was dropped is no file. Drop an image from a folder, or choose one.");
};
document.onpaste = (event) => {
  const file = event.clipboardData.files[0];
  if (file) take(file);
};

canvas.onpointermove = canvas.onpointerdown = (event) => {
  point = pointAt(canvas, result, event.clientX, event.clientY);
  tell();
};
canvas.onkeydown = (event) => {
  const step = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
  if (!step) return;
  event.preventDefault();
  const size = [result.image.width, result.image.height];
  const far = event.shiftKey ? 1 : 8;
  point ??= size.map((side) => side >> 1);
  point = point.map((place, axis) => Math.min(Math.max(place + far * step[axis], 0), size[axis] - 1));
  tell();
};
window.onresize = show;

$("model").append(...site.models.map(({ name }) => new Option(name)));
for (const { url, name } of site.samples) {
  const [item, button, image] = ["li", "button", "img"].map((kind) => document.createElement(kind));
  button.type = "button";
  button.title = image.alt = name;
  image.src = url;
  button.onclick = async () => take(await (await fetch(url)).blob(), button);
  button.append(image);
  item.append(button);
  $("samples").append(item);
}
offer();
if (model().server) $("samples").querySelector("button")?.click();
else $("empty").textContent += " The model is loaded then; no image leaves this machine.";
document.body.dataset.ready = "yes";
