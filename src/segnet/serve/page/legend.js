// The classes of an image: colour, name and share of each; pointing at one highlights it, a click hides it.

export class Legend {
  /**
   * @param {HTMLUListElement} list
   * @param {{toggle: (id: number) => void, hover: (id: number | null) => void}} told of a click, and of the class that
   *   the pointer or the focus is on
   */
  constructor(list, { toggle, hover }) {
    Object.assign(this, { list, toggle, hover });
    this.model = null;
    this.rows = new Map(); // class id -> <li>; a row stays while it is pointed at
  }

  /**
   * @param {object | null} model an entry of site.json; null empties the list
   * @param {Map<number, number>} shares class id -> share 0..1, in the order to show
   * @param {Set<number>} hidden class ids that are off
   */
  show(model, shares, hidden) {
    if (model !== this.model) {
      this.rows.clear();
      this.list.replaceChildren();
      this.model = model;
    }
    for (const [id, row] of this.rows) {
      if (!shares.has(id)) {
        row.remove();
        this.rows.delete(id);
      }
    }
    const largest = Math.max(...shares.values());
    [...shares].forEach(([id, share], place) => {
      const row = this.rows.get(id) ?? this.row(id);
      const button = row.firstElementChild;
      button.setAttribute("aria-pressed", String(!hidden.has(id)));
      button.querySelector("b").textContent = percent(share);
      button.querySelector("u").style.width = `${(100 * share) / largest}%`;
      if (this.list.children[place] !== row) this.list.insertBefore(row, this.list.children[place] ?? null);
    });
  }

  /** Marks the row of a class; null marks none. */
  mark(id) {
    for (const [other, row] of this.rows) row.firstElementChild.classList.toggle("hot", other === id);
  }

  row(id) {
    const made = (name, ...children) => {
      const element = document.createElement(name);
      element.append(...children);
      return element;
    };
    const colour = `rgb(${this.model.class_colours[id].join(" ")})`;
    const [swatch, bar] = [made("i"), made("u")];
    swatch.style.background = bar.style.background = colour;
    const button = made("button", swatch, made("span", this.model.class_names[id]), made("b"), made("em", bar));
    button.type = "button";
    button.dataset.id = id;
    button.onclick = () => this.toggle(id);
    button.onpointerenter = button.onfocus = () => this.hover(id);
    button.onpointerleave = button.onblur = () => this.hover(null);
    const row = made("li", button);
    this.rows.set(id, row);
    return row;
  }
}

/** 0.0312 -> "3.1 %". */
export function percent(share) {
  return share > 0 && share < 0.001 ? "< 0.1 %" : `${(100 * share).toFixed(1)} %`;
}
