"""The model card of a weights file: Markdown for the hub and for people, made from the card inside the file."""

from segnet.labels import LabelSet
from segnet.weights.file import WeightsCard
from segnet.weights.named import DATA_TERMS

# Identifiers that the hub knows; any other licence is `other` with its own name.
_LICENCES = {"apache-2.0", "mit", "bsd-3-clause", "cc0-1.0", "cc-by-4.0", "cc-by-sa-4.0", "cc-by-nc-4.0", "openrail"}
_SCORES = {
    "global_accuracy": "global accuracy",
    "class_average_accuracy": "class average accuracy",
    "mean_iou": "mean IoU",
    "boundary_f1": "boundary F1",
}


def model_card(card: WeightsCard, name: str, address: str, sha256: str, size_bytes: int, image: str = "") -> str:
    """The text of `README.md`: header for the hub, image, three lines, scores, classes, data and licence.

    Args:
        card: of the weights.
        name: the title.
        address: what `Predictor` takes: `hf://owner/repo`, or the folder.
        sha256: of `model.safetensors`.
        size_bytes: of it.
        image: file name of an example beside it; empty for none.
    """
    shown = f"![An image, and the classes that these weights give it]({image})\n\n" if image else ""
    terms = card.data_terms or DATA_TERMS.get(card.label_set.name, "") or "Not stated."
    recipe = f"## Training\n\n```toml\n{card.recipe.rstrip()}\n```\n" if card.recipe else ""
    return f"""{_header(card, name)}
# {name}

A {card.model} for semantic segmentation: every pixel of an image is given one of {card.label_set.num_classes} classes
({card.label_set.name}). Written by segnet {card.version or "of an unknown version"}.

{shown}```python
from segnet import Predictor

prediction = Predictor("{address}")("image.jpg")
prediction.overlay().save("overlay.png")
```

Input: {card.in_channels} channels{_bands(card)}, any size; the input normalisation is part of the model.
`model.safetensors`: {size_bytes:,} bytes, sha256 `{sha256}`.

## Scores

{_scores(card)}
## Classes

{_classes(card.label_set, card.class_iou)}
## Data and licence

- Trained on: {card.trained_on or "not stated"}
- Terms of the training data: {terms}
- Licence of these weights: {card.licence or "not stated"}

{recipe}"""


def _header(card: WeightsCard, name: str) -> str:
    """The block that the hub reads; every value is quoted, so that none can change its meaning."""
    lines = ["---", "library_name: segnet", "pipeline_tag: image-segmentation"]
    licence = card.licence.strip().lower().replace(" ", "-")
    if licence in _LICENCES:
        lines.append(f"license: {licence}")
    elif licence:
        lines += ["license: other", f"license_name: {_quoted(card.licence)}"]
    lines += ["tags:", "- semantic-segmentation", "- segnet", f"- {_quoted(card.model)}"]
    if card.scores:
        lines += [
            "model-index:",
            f"- name: {_quoted(name)}",
            "  results:",
            "  - task:",
            "      type: image-segmentation",
            "    dataset:",
            f"      name: {_quoted(card.label_set.name + ', validation')}",
            f"      type: {_quoted(card.label_set.name)}",
            "    metrics:",
        ]
        for metric, value in card.scores.items():
            lines += [f"    - type: {_quoted(metric)}", f"      value: {value:.4f}"]
    return "\n".join((*lines, "---", ""))


def _scores(card: WeightsCard) -> str:
    if not card.scores:
        return "Not measured.\n"
    rows = [f"| {_SCORES.get(name, name.replace('_', ' '))} | {value:.4f} |" for name, value in card.scores.items()]
    return "\n".join(("On the validation images of the training run.\n", "| score | |", "|---|---|", *rows, ""))


def _classes(label_set: LabelSet, class_iou: dict[str, float]) -> str:
    rows = []
    for class_id, (name, colour) in enumerate(zip(label_set.names, label_set.colours, strict=True)):
        iou = f"{class_iou[name]:.4f}" if name in class_iou else "-"
        rows.append(f"| {class_id} | {name.replace('|', '/')} | `#{bytes(colour).hex()}` | {iou} |")
    return "\n".join(("| id | class | colour | IoU |", "|---|---|---|---|", *rows, ""))


def _bands(card: WeightsCard) -> str:
    return f" (bands {', '.join(map(str, card.bands))} of a file)" if card.bands else ""


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
