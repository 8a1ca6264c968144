// The page: one item is shown, still or live; its image at once, its result as soon as the model has answered.

import { segmentInBrowser } from "./browser.js";
import { showCard } from "./card.js";
import { Controls } from "./controls.js";
import { offerDownloads } from "./downloads.js";
import { decode, encode, scaled, thumbnail } from "./image.js";
import { listen } from "./intake.js";
import { hashOf, settingsOf } from "./links.js";
import { LiveView } from "./live-view.js";
import { progress, quiet, tell } from "./messages.js";
import { Queue } from "./queue.js";
import { resultOf, shownMap, smallMap } from "./result.js";
import { segmentOnServer } from "./server.js";
import { loadSample, loadSite } from "./site.js";
import { discard, makeItem, markCurrent, setState } from "./strip.js";
import { View } from "./view.js";

const $ = (id) => document.getElementById(id);
const site = await loadSite().catch((error) => {
  $("empty").textContent = error.message;
  tell(error.message, { retry: () => location.reload() });
});

function start() {
  const controls = new Controls(site);
  const view = new View(controls);
  const shown = view.shown; // {item, name, bitmap, result, map, rate}: what the stage shows
  const own = []; // items of the visitor
  const samples = site.samples.map((sample) => makeItem({ ...sample, own: false }, select));
  let turn = 0; // of selections: an image that is read after the next one was chosen is thrown away

  // ------------------------------------------------------------------------------------------ the model

  async function segment(source, from, { signal, live = false, progress }) {
    const { model, where, key, samples } = controls;
    const pixels = scaled(source, from, controls.limits);
    const options = { samples, live, signal, progress };
    const answer =
      where === "server"
        ? await segmentOnServer(model, pixels, options)
        : await segmentInBrowser(model, site.runtime, pixels, options);
    signal.throwIfAborted();
    return resultOf(answer, { model, pixels, from, key });
  }

  const queue = new Queue({
    async work(item, signal) {
      const more = queue.waiting.length;
      const report = (text, share) => progress(more ? `${text}; ${more} more` : text, share);
      report("Reading the image");
      const mine = item === shown.item && shown.bitmap;
      const bitmap = mine || (await open(item, signal));
      signal.throwIfAborted();
      const answer = segment(bitmap, [bitmap.width, bitmap.height], { signal, progress: report });
      if (!mine) bitmap.close();
      item.result = null;
      item.result = await answer;
      setState(item, "done");
      if (item === shown.item) view.setResult(item.result, shownMap(item.result));
      offerSaving();
    },
    failed(item, error) {
      if (item === shown.item) tell(error.message, { retry: () => queue.prefer(item) });
    },
    idle(failures) {
      if (!live.on) progress("");
      const unseen = own.filter((item) => item.state === "failed" && item !== shown.item).length;
      if (failures && unseen && $("message").hidden) tell(`${unseen} of your images failed. Choose one marked ! to see why.`);
      offerSaving();
    },
  });

  async function open(item, signal) {
    item.blob ??= await loadSample(item, signal);
    return decode(item.blob, item.name);
  }

  // ------------------------------------------------------------------------------------------ what is shown

  async function select(item) {
    live.stop();
    const mine = ++turn;
    quiet();
    markCurrent([...own, ...samples], item);
    view.clear(item);
    for (const sample of samples) if (sample !== item) queue.drop(sample); // only the sample in sight is computed
    offerSaving();
    if (item.kind === "video") return live.play(item);
    try {
      const bitmap = await open(item);
      if (mine !== turn) return bitmap.close();
      view.setImage(bitmap, item.name);
    } catch (error) {
      if (mine !== turn) return;
      view.setImage(null, item.name);
      setState(item, "failed", error.message);
      tell(error.message, { retry: () => select(item) });
      return;
    }
    if (controls.serves(item.result)) view.setResult(item.result, shownMap(item.result));
    else queue.prefer(item);
    offerSaving();
    keepLink();
  }

  /** Computes again what the settings changed: the item that is shown first, then those that had a result. */
  function recompute() {
    const stale = own.filter((item) => item.kind === "image" && item !== shown.item && item.state !== "new" && !controls.serves(item.result));
    if (!live.on && shown.item?.kind === "image") {
      if (controls.serves(shown.item.result)) view.setResult(shown.item.result, shownMap(shown.item.result));
      else {
        view.setResult(null);
        queue.prefer(shown.item);
      }
    }
    queue.add(stale);
    offerSaving();
  }

  function add(item, { first, run }) {
    own.push(item);
    $("own-strip").append(item.element);
    $("own").hidden = false;
    if (first) select(item);
    else if (run) queue.add([item]);
    return item;
  }

  function remove(items) {
    for (const item of items) {
      queue.drop(item);
      discard(item);
      own.splice(own.indexOf(item), 1);
    }
    $("own").hidden = !own.length;
    if (!items.includes(shown.item)) return;
    const next = own.at(-1) ?? samples[0];
    if (next) select(next);
    else view.clear(null);
  }

  const saved = () => [...own, ...samples].filter((item) => item.result && item.kind === "image" && item.state === "done");

  function offerSaving() {
    for (const id of ["save-classes", "save-overlay", "save-json"]) $(id).disabled = !shown.result;
    $("save-zip").disabled = !saved().length;
    $("save-zip").textContent = saved().length > 1 ? `All ${saved().length} as ZIP` : "All as ZIP";
    $("remove").disabled = !own.includes(shown.item);
  }

  // ------------------------------------------------------------------------------------------ live

  const live = new LiveView({
    segment,
    key: () => JSON.stringify([controls.key, controls.samples]),
    began() {
      turn++;
      queue.hold();
      quiet();
    },
    frame(bitmap, result, rate, item) {
      if (shown.item !== item) markCurrent([...own, ...samples], item);
      view.setFrame(item, item?.name ?? "camera", bitmap, result, smallMap(result), rate);
      offerSaving();
    },
    ended() {
      progress("");
      queue.release();
    },
    failed: (text, item) => {
      if (item) setState(item, "failed", text);
      else if (controls.serves(shown.item?.result)) view.setResult(shown.item.result, shownMap(shown.item.result));
      tell(text, { retry: item ? () => select(item) : () => live.camera() });
    },
  });

  /** The frame that is shown, as an image of its own. */
  async function keepFrame() {
    const { bitmap, result, name } = shown;
    if (!bitmap || !result) return null;
    const kind = `${name} ${own.filter((item) => item.name.startsWith(name)).length + 1}`;
    const [blob, thumb] = await Promise.all([encode(bitmap, "image/png"), thumbnail(bitmap)]);
    const item = add(makeItem({ name: kind, blob, thumb }, select), {});
    item.result = result;
    setState(item, "done");
    return item;
  }

  async function toggleCamera() {
    if (!live.cameraOn) {
      view.setResult(null);
      return live.camera();
    }
    const before = shown.item;
    const mine = turn;
    const played = live.played;
    const kept = played ? keepFrame() : null;
    live.stop();
    const item = (await kept) ?? before;
    if (mine === turn && item) select(item);
  }

  // ------------------------------------------------------------------------------------------ controls

  function keepLink() {
    const sample = samples.indexOf(shown.item);
    history.replaceState(null, "", hashOf({ ...controls.settings(), sample: sample > 0 ? sample : null }));
  }

  const changed = (act) => () => {
    controls.offer();
    act();
    keepLink();
  };
  $("model").onchange = changed(() => {
    controls.hidden.clear();
    showCard($("card-body"), controls.model);
    recompute();
  });
  $("detail").onchange = changed(recompute);
  for (const input of document.querySelectorAll("input[name=where]")) input.onchange = changed(recompute);
  for (const input of document.querySelectorAll("input[name=view]")) {
    input.onchange = changed(() => {
      view.paint();
      if (shown.result && !live.on && !controls.serves(shown.result)) recompute();
    });
  }
  $("compare").onchange = $("opacity").oninput = changed(() => view.paint());
  $("all").onclick = changed(() => {
    controls.hidden.clear();
    view.paint();
  });
  $("none").onclick = changed(() => {
    for (const id of controls.model.class_names.keys()) controls.hidden.add(id);
    view.paint();
  });
  view.toggled = changed(() => view.paint());
  $("panel").onsubmit = (event) => event.preventDefault();
  $("camera").onclick = toggleCamera;
  $("snapshot").onclick = keepFrame;
  $("remove").onclick = () => remove([shown.item]);
  $("remove-all").onclick = () => remove([...own]);
  $("cancel").onclick = cancel;
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    if (!$("progress").hidden) cancel();
    else view.stage.setPoint(null, "keyboard");
  });
  $("copy-link").onclick = async () => {
    const note = shown.item?.own || !shown.item ? " It holds the settings, not your image." : "";
    try {
      await navigator.clipboard.writeText(location.href);
      tell(`The link is copied.${note}`, { calm: true });
    } catch {
      tell(`Copy this link:${note}\n${location.href}`, { calm: true });
    }
  };
  offerDownloads({
    shown: () => shown,
    look: () => ({ opacity: controls.opacity, hidden: controls.hidden }),
    done: saved,
    open,
  });
  listen({
    count: () => own.length,
    image: (file, thumb, first) => add(makeItem({ name: file.name || "pasted", blob: file, thumb }, select), { first, run: true }),
    video: (file, first) => add(makeItem({ name: file.name, kind: "video", blob: file }, select), { first }),
    refused: (text) => tell(text),
  });

  function cancel() {
    const wasLive = live.on;
    live.stop();
    queue.cancel();
    progress("");
    if (!wasLive && shown.item) tell("Cancelled.", { calm: true, retry: () => select(shown.item) });
  }

  function follow() {
    const settings = settingsOf(location.hash);
    const missing = controls.apply(settings);
    showCard($("card-body"), controls.model);
    view.paint();
    return { missing, sample: samples[Number(settings.get("sample") ?? 0)], named: settings.has("sample") };
  }
  addEventListener("hashchange", () => {
    const { missing, sample, named } = follow();
    if (named && sample && sample !== shown.item) select(sample);
    else recompute();
    if (missing) tell(missing);
  });

  $("sample-strip").append(...samples.map((item) => item.element));
  $("empty").textContent = "Choose an image, drop one here, or click a sample.";
  const { missing, sample } = follow();
  if (sample && controls.where === "server") select(sample);
  else $("empty").textContent += " The model is loaded then; your images stay on this device.";
  if (missing) tell(missing);
  offerSaving();
  document.body.dataset.ready = "yes";
}

if (site) start();
