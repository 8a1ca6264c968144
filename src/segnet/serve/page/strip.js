// A film strip: the images that there are, as buttons with a thumbnail and a state.

const BADGES = { waiting: "…", working: "▶", done: "✓", failed: "!", cancelled: "–", new: "" };

/**
 * One image, video, or sample.
 * @typedef {{name: string, kind: "image" | "video", blob: Blob | null, url: string | null, thumb: string,
 *   own: boolean, state: string, error: string, result: object | null, element: HTMLLIElement}} Item
 */

/** @returns {Item} with an element for a strip; `chosen` is told of clicks */
export function makeItem({ name, kind = "image", blob = null, url = null, thumb = "", own = true }, chosen) {
  const [element, button, image, badge, state] = ["li", "button", "img", "b", "span"].map((tag) => document.createElement(tag));
  const item = { name, kind, blob, url, thumb, own, state: "new", error: "", result: null, element };
  button.type = "button";
  button.className = "thumb";
  button.title = name;
  image.alt = name;
  image.loading = "lazy";
  image.decoding = "async";
  if (thumb) image.src = thumb;
  image.onerror = () => (image.hidden = true);
  badge.setAttribute("aria-hidden", "true");
  state.className = "unseen";
  button.append(image, badge, state);
  button.onclick = () => chosen(item);
  element.append(button);
  setState(item, "new");
  return item;
}

/** Shows how far an item is: new, waiting, working, done, failed or cancelled. */
export function setState(item, state, error = "") {
  item.state = state;
  item.error = error;
  const button = item.element.firstElementChild;
  button.title = error || item.name;
  button.querySelector("b").textContent = item.kind === "video" ? "video" : BADGES[state];
  button.querySelector("span").textContent = state === "new" ? "" : `, ${state}`;
}

/** Marks the item that is shown. */
export function markCurrent(items, current) {
  for (const item of items) {
    if (item === current) item.element.firstElementChild.setAttribute("aria-current", "true");
    else item.element.firstElementChild.removeAttribute("aria-current");
  }
}

/** Gives back what an item holds in memory. */
export function discard(item) {
  item.element.remove();
  if (item.thumb.startsWith("blob:")) URL.revokeObjectURL(item.thumb);
}
