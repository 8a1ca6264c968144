// The classes of an image: colour, name and share of each, to be switched off and on.

/** How many pixels each class has: Map of class id -> share 0..1, largest first; void left out. */
export function shares(classes) {
  const counts = new Uint32Array(256);
  for (const id of classes) counts[id]++;
  const present = [...counts.keys()].filter((id) => counts[id] && id !== 255);
  return new Map(present.sort((a, b) => counts[b] - counts[a]).map((id) => [id, counts[id] / classes.length]));
}

/**
 * @param {HTMLElement} list is filled again; the focus stays on its class
 * @param {object} model an entry of site.json
 * @param {Map<number, number>} present class id -> share, in the order to show
 * @param {Set<number>} hidden class ids that are off
 * @param {(id: number) => void} toggle
 */
export function showLegend(list, model, present, hidden, toggle) {
  const focused = list.contains(document.activeElement) ? document.activeElement.dataset.id : null;
  list.replaceChildren(
    ...[...present].map(([id, share]) => {
      const button = document.createElement("button");
      button.type = "button";
      button.dataset.id = id;
      button.setAttribute("aria-pressed", String(!hidden.has(id)));
      const [swatch, name, text] = ["i", "span", "b"].map((kind) => document.createElement(kind));
      swatch.style.background = `rgb(${model.class_colours[id].join(" ")})`;
      name.textContent = model.class_names[id];
      text.textContent = percent(share);
      button.append(swatch, name, text);
      button.onclick = () => toggle(id);
      const item = document.createElement("li");
      item.append(button);
      return item;
    }),
  );
  if (focused) list.querySelector(`[data-id="${focused}"]`)?.focus();
}

/** 0.0312 -> "3.1 %". */
function percent(share) {
  return share > 0 && share < 0.001 ? "< 0.1 %" : `${(100 * share).toFixed(1)} %`;
}
