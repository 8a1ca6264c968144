// The controls that say what is computed and how it is shown, and what of it goes together.

export const SAMPLES_OF_DROPOUT = 8;
const $ = (id) => document.getElementById(id);
const radio = (name, value) => document.querySelector(`input[name=${name}][value=${value}]`);
const chosen = (name) => document.querySelector(`input[name=${name}]:checked`)?.value;

export class Controls {
  /** @param {object} site site.json */
  constructor(site) {
    this.site = site;
    this.hidden = new Set(); // class ids that are switched off
    $("model").append(...site.models.map(({ name }) => new Option(name)));
    this.offer();
  }

  get model() {
    return this.site.models[$("model").selectedIndex];
  }

  get where() {
    return chosen("where");
  }

  get view() {
    return chosen("view");
  }

  get opacity() {
    return Number($("opacity").value) / 100;
  }

  get compare() {
    return $("compare").checked;
  }

  /** How many pixels the longest side of the model's input has, and how many pixels in all. */
  get limits() {
    return { longest: Number($("detail").value), maxPixels: this.where === "server" ? this.site.max_pixels : null };
  }

  /** Samples of dropout that the view needs; 0: one pass. */
  get samples() {
    return this.view === "uncertainty" && this.sampled ? SAMPLES_OF_DROPOUT : 0;
  }

  /** Whether uncertainty comes from samples. */
  get sampled() {
    return this.model.bayesian && this.where === "server";
  }

  /** The settings that a result depends on; equal keys give equal results. */
  get key() {
    return JSON.stringify([this.model.name, this.where, this.limits.longest]);
  }

  /** Whether a result is of these settings. */
  serves(result) {
    return result?.key === this.key && (!this.samples || result.entropy !== null);
  }

  /** Enables what goes together, and says what does not. */
  offer() {
    const { server, onnx } = this.model;
    radio("where", "server").disabled = !server;
    radio("where", "browser").disabled = !onnx;
    if (!this.where || document.querySelector("input[name=where]:checked").disabled) {
      radio("where", server ? "server" : "browser").checked = true;
    }
    const flat = this.view === "image";
    $("compare").disabled = flat;
    $("opacity").disabled = this.view !== "overlay";
    $("opacity-text").textContent = `${$("opacity").value} %`;
    const notes = [];
    if (this.where === "browser") notes.push("Your images stay on this device.");
    else notes.push("Images are sent to the server, which does not store them.");
    if (!onnx) notes.push(`Not in this browser: ${this.site.why_no_browser || "the model is not offered for it"}.`);
    if (this.limits.longest) notes.push(`The model sees the image at up to ${this.limits.longest} px.`);
    $("note").textContent = notes.join(" ");
  }

  /** The settings for a link. */
  settings() {
    return {
      model: this.model.name,
      where: this.where,
      size: $("detail").value,
      view: this.view,
      compare: this.compare ? null : "no",
      opacity: $("opacity").value,
      hide: [...this.hidden].sort((a, b) => a - b).join("."),
    };
  }

  /**
   * Sets the controls as a link says.
   * @param {Map<string, string>} settings
   * @returns {string} what of it is not to be had here, for people; empty if nothing
   */
  apply(settings) {
    let missing = "";
    const place = this.site.models.findIndex(({ name }) => name === settings.get("model"));
    if (place >= 0) $("model").selectedIndex = place;
    else if (settings.has("model")) missing = `The link asks for the model '${settings.get("model")}', which is not offered here.`;
    if (settings.has("where")) {
      const input = radio("where", settings.get("where"));
      this.offer();
      if (!input.disabled) input.checked = true;
      else missing ||= `The link asks for the model ${settings.get("where") === "server" ? "on a server" : "in the browser"}, which is not offered here.`;
    }
    if (settings.has("size")) $("detail").value = settings.get("size");
    if (settings.has("view")) radio("view", settings.get("view")).checked = true;
    if (settings.has("opacity")) $("opacity").value = settings.get("opacity");
    $("compare").checked = settings.get("compare") !== "no";
    this.hidden.clear();
    for (const id of settings.get("hide")?.split(".") ?? []) this.hidden.add(Number(id));
    this.offer();
    return missing;
  }
}
