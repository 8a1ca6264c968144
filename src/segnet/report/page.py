"""The report as one self-contained HTML file: scores, curves, classes, images, settings and versions.

All text from outside (title, names of classes and images, settings, facts) is escaped.
"""

import math
from collections.abc import Mapping, Sequence
from html import escape
from importlib import resources
from itertools import groupby
from pathlib import Path
from string import Template

from segnet.io.files import whole_file
from segnet.labels import LabelSet
from segnet.metrics import confusion
from segnet.metrics.calibration import Calibration
from segnet.metrics.scores import ImageScore, Scores
from segnet.report.calibration_plot import calibration_plots
from segnet.report.classes import class_bars, confusion_matrix, largest_confusions
from segnet.report.curves import training_curves
from segnet.report.images import WRONG_COLOUR, Panel, views
from segnet.report.svg import fixed, percent
from segnet.training.log import Record


def write_report(
    path: Path,
    *,
    title: str,
    scores: Scores,
    calibration: Calibration | None = None,
    panels: Sequence[Panel] = (),
    log: Sequence[Record] | None = None,
    settings: str | None = None,
    facts: Mapping[str, str] | None = None,
) -> None:
    """Writes the report, whole or not at all.

    Args:
        path: of the HTML file; an existing one is replaced.
        title: heading of the page.
        scores: of the images that were evaluated.
        calibration: of the same images.
        panels: images to show, in order; consecutive ones of the same group share a heading.
        log: records of the training run, for its curves.
        settings: of the run, as TOML.
        facts: further names and values, such as `machine_facts()`.

    Raises:
        DataError: the file cannot be written.
        LabelError: a panel holds a class id that the label set of `scores` does not have.

    Example:
        >>> panels = best_and_worst(scores, dataset, lambda image: predictor(image).classes)
        >>> write_report(Path("report.html"), title="My model", scores=scores, panels=panels, facts=machine_facts())
    """
    label_set = scores.label_set
    sections = [
        _headline(title, scores),
        training_section(training_curves(log or ())),
        _classes(scores),
        _plots_section("Calibration", calibration_plots(calibration) if calibration else ()),
        _images(panels, label_set),
        settings_section(settings),
        facts_section(facts or {}),
    ]
    write_page(path, title, sections)


def write_page(path: Path, title: str, sections: Sequence[str]) -> None:
    """Writes one page, whole or not at all.

    Args:
        path: of the HTML file; an existing one is replaced.
        title: of the window; escaped here.
        sections: HTML; empty ones are left out.

    Raises:
        DataError: the file cannot be written.
    """
    page = Template(_resource("page.html")).substitute(
        title=escape(title), style=_resource("style.css"), body="\n".join(s for s in sections if s)
    )
    with whole_file(path) as temporary:
        temporary.write_text(page, encoding="utf-8", errors="replace")


# ------------------------------------------------------------------------------------------------ sections


def _headline(title: str, scores: Scores) -> str:
    label_set, averaged = scores.label_set, confusion.mean_iou(scores.counts)[1]
    cards = (
        (
            "Global accuracy",
            scores.global_accuracy,
            "The share of all labelled pixels with the right class. Large classes dominate it.",
        ),
        (
            "Class average",
            scores.class_average_accuracy,
            "The same share within each class, averaged over classes: a rare class counts as much as a common one.",
        ),
        (
            "Mean IoU",
            scores.mean_iou,
            "Pixels where label and prediction agree on a class, divided by those where either has it; averaged over "
            f"{averaged} of {label_set.num_classes} classes.",
        ),
        (
            "Boundary F1",
            scores.boundary_f1,
            "How well outlines agree, within 0.75 % of the image's diagonal; averaged over images."
            + (" Not measured." if math.isnan(scores.boundary_f1) else ""),
        ),
    )
    pixels = int(scores.counts.sum())
    lead = (
        f"{_many(len(scores.images), 'image')}, {_many(pixels, 'labelled pixel')}, "
        f"{_many(label_set.num_classes, 'class', 'classes')} ({escape(label_set.name)}). "
        "Ignored pixels (void), which have no label, count in no score."
    )
    body = "\n".join(
        f'<section class="score"><h2>{name}</h2><p class="value">{_with_unit(value)}</p><p>{sentence}</p></section>'
        for name, value, sentence in cards
    )
    return f'<h1>{escape(title)}</h1>\n<p class="lead">{lead}</p>\n<div class="scores">\n{body}\n</div>'


def training_section(plots: Sequence[tuple[str, str]]) -> str:
    """Pairs of SVG element and caption (not escaped) under the heading Training; nothing for no plot."""
    return _plots_section("Training", plots)


def _plots_section(heading: str, plots: Sequence[tuple[str, str]]) -> str:
    figures = "\n".join(_figure(svg, caption) for svg, caption in plots)
    return f'<h2>{heading}</h2>\n<div class="curves">\n{figures}\n</div>' if plots else ""


def _classes(scores: Scores) -> str:
    names = scores.label_set.names
    taken = [
        f"{percent(share, 0)} % of {escape(names[t])} for {escape(names[p])}"
        for t, p, share in largest_confusions(scores.counts)
    ]
    bars = _figure(
        class_bars(scores.counts, scores.label_set),
        "Percent. Thick bar: IoU; thin bar: accuracy. A class that does not occur shows - and is left out of means.",
    )
    matrix = _figure(
        confusion_matrix(scores.counts, scores.label_set),
        "Percent of each row: of the pixels labelled as a class, the share predicted as each. Blue is right, red is "
        "wrong, empty is below half a percent.",
        "wide",
    )
    sentence = f"<p>Most frequent confusions: {'; '.join(taken)}.</p>\n" if taken else ""
    return f'<h2>Classes</h2>\n{sentence}<div class="classes">\n{bars}\n{matrix}\n</div>'


def _images(panels: Sequence[Panel], label_set: LabelSet) -> str:
    if not panels:
        return f"<h2>Colours</h2>\n{class_legend(label_set)}"
    errors = any(panel.target is not None for panel in panels)
    parts = ["<h2>Images</h2>", class_legend(label_set, errors=errors)]
    for group, members in groupby(panels, key=lambda panel: panel.group):
        parts += [f"<h3>{escape(group)}</h3>"] if group else []
        parts += [_panel(panel, label_set) for panel in members]
    return "\n".join(parts)


def _panel(panel: Panel, label_set: LabelSet) -> str:
    return image_row(panel.name, views(panel, label_set), _image_scores(panel.score) if panel.score else "")


def class_legend(label_set: LabelSet, notes: Sequence[str] = (), *, errors: bool = False) -> str:
    """The colours of the classes and of void.

    Args:
        label_set: names and colours.
        notes: text after each class, and after void last; empty for none.
        errors: whether error maps are shown.
    """
    said = [f" {note}" for note in notes] or [""] * (label_set.num_classes + 1)
    classes = zip(label_set.names, label_set.colours, said, strict=False)
    entries = [_legend_entry(f"background:{fixed(colour)}", name + note) for name, colour, note in classes]
    entries.append(f'<li><span class="swatch void"></span>void (not labelled){escape(said[-1])}</li>')
    if errors:
        entries.append(_legend_entry(f"background:{fixed(WRONG_COLOUR)}", "wrong, in the error maps"))
    return f'<ul class="legend">\n{"".join(entries)}\n</ul>'


def image_row(name: str, shown: Sequence[tuple[str, str]], scores: str = "") -> str:
    """Views of one image side by side: four in a row, or three.

    Args:
        name: of the image; escaped here.
        shown: pairs of caption and data URI.
        scores: a line beside the name.
    """
    name = escape(name)
    images = "\n".join(
        f'<figure><img src="{uri}" alt="{caption} of {name}"><figcaption>{caption}</figcaption></figure>'
        for caption, uri in shown
    )
    beside = f"<span>{scores}</span>" if scores else ""
    grid = "views" if len(shown) == 4 else "views three"
    return (
        f'<article class="panel">\n<header><span class="name">{name}</span>{beside}</header>\n'
        f'<div class="{grid}">\n{images}\n</div>\n</article>'
    )


def settings_section(settings: str | None) -> str:
    """Settings as TOML under their heading; nothing for none."""
    return f"<h2>Settings</h2>\n<pre>{escape(settings.strip())}</pre>" if settings else ""


def facts_section(facts: Mapping[str, str]) -> str:
    """Names and values under a heading; empty for none."""
    rows = "\n".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in facts.items())
    return f'<h2>Environment</h2>\n<dl class="facts">\n{rows}\n</dl>' if facts else ""


# ------------------------------------------------------------------------------------------------ formatting


def _figure(svg: str, caption: str, css_class: str = "") -> str:
    return f'<figure><div class="{css_class}">{svg}</div><figcaption>{escape(caption)}</figcaption></figure>'


def _legend_entry(style: str, name: str) -> str:
    return f'<li><span class="swatch" style="{style}"></span>{escape(name)}</li>'


def _image_scores(score: ImageScore) -> str:
    values = (("mean IoU", score.mean_iou), ("accuracy", score.global_accuracy), ("boundary F1", score.boundary_f1))
    return ", ".join(f"{name} {percent(value)} %" for name, value in values if not math.isnan(value))


def _with_unit(value: float) -> str:
    return percent(value) + (' <span class="unit">%</span>' if not math.isnan(value) else "")


def _many(number: int, one: str, many: str = "") -> str:
    if number >= 1_000_000:
        return f"{number / 1_000_000:.1f} million {many or one + 's'}"
    return f"{number:,} {one if number == 1 else many or one + 's'}".replace(",", "\u202f")


def _resource(name: str) -> str:
    return (resources.files("segnet.report") / name).read_text(encoding="utf-8")
