// The model card: what the model is, what it learned from, how well it does, and under which licence.

const SCORES = {
  global_accuracy: "Global accuracy",
  class_average_accuracy: "Class average accuracy",
  mean_iou: "Mean IoU",
  boundary_f1: "Boundary F1",
};

/** @param {HTMLElement} body is filled again; @param {object} model an entry of site.json */
export function showCard(body, model) {
  const { card = {} } = model;
  const facts = [
    ["Model", model.model],
    ["Classes", `${model.class_names.length} (${model.label_set})`],
    ["Trained on", card.trained_on || "not stated"],
    ["Licence", card.licence || "not stated"],
    ["Server", model.server ?? ""],
  ];
  const list = element("dl");
  for (const [name, value] of facts) if (value) list.append(element("dt", name), element("dd", value));
  const scores = Object.entries(card.scores ?? {}).map(([name, value]) => [SCORES[name] ?? name.replaceAll("_", " "), value]);
  const classes = model.class_names.map((name) => [name, card.class_iou?.[name]]).filter(([, value]) => value !== undefined);
  body.replaceChildren(
    list,
    ...(scores.length ? [table("Scores after training", scores)] : [element("p", "No scores are stored with these weights.")]),
    ...(classes.length ? [table("IoU of each class", classes)] : []),
  );
}

function table(title, rows) {
  const made = element("table", element("caption", title));
  for (const [name, value] of rows) {
    const head = element("th", name);
    head.scope = "row";
    const meter = element("meter");
    meter.value = value;
    meter.setAttribute("aria-hidden", "true"); // the number beside it says the same
    made.append(element("tr", head, element("td", meter, ` ${(100 * value).toFixed(1)} %`)));
  }
  return made;
}

function element(name, ...children) {
  const made = document.createElement(name);
  made.append(...children);
  return made;
}
