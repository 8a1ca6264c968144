"""What is in doubt about the values of label images that became classes; each doubt is a line with what to do."""

from collections.abc import Sequence

from segnet.data.label_survey import LabelSurvey, distance_between, value_text
from segnet.data.names_file import Named
from segnet.data.reading.class_ids import HIGHEST_ID
from segnet.labels import VOID

_SHOWN = 5
_FEW = 1e-4  # of all pixels: so few, without a region anywhere, may be a slip of the tool
_FEWEST_INSTANCES = 6  # ids that each are in one file only, before they look like numbers of objects
_FEWEST_FILES = 3
_NEAR = 8  # of a colour that a table lacks, in each channel


def doubts_of(
    survey: LabelSurvey, classes: Sequence[int], names: Sequence[Named], *, smoothed: bool = False
) -> list[str]:
    """What a user should look at, though everything can be read.

    Args:
        survey: of the label images.
        classes: values that became classes.
        names: that a file gives to values.
        smoothed: whether values from smoothing were left out already, so that few pixels are no sign.
    """
    doubts = [*_of_void_values(survey, classes), *_of_instances(survey, classes), *_of_colours(survey, classes, names)]
    if survey.transparent:
        some = f"{survey.transparent[0]} and others" if len(survey.transparent) > 1 else str(survey.transparent[0])
        doubts.append(f"{some} are transparent in places, which is not read: only ids or colours count")
    if survey.perhaps_lossy:
        doubts.append(
            f"{survey.perhaps_lossy[0]} is in a format that may change values: look at boundaries with `segnet data "
            "show`, or write the labels as PNG"
        )
    return doubts if smoothed else doubts + _of_few_pixels(survey, classes, names)


def _of_void_values(survey: LabelSurvey, classes: Sequence[int]) -> list[str]:
    """Classes whose value often marks ignored pixels. A mask of two values raises no doubt: both are classes."""
    if survey.kind != "ids" or len(classes) < 3:
        return []
    doubts = []
    for value in classes:
        by_tag = survey.no_data.get(value)
        why = "the other ids are not small and consecutive" if value == VOID else ""
        why = "but is the largest that 16 bits hold" if value == HIGHEST_ID else why
        why = f"but is the value of pixels without data by the tag of {by_tag}" if by_tag else why
        if why:
            colon = ":" if value == VOID and not by_tag else ","
            doubts.append(
                f"{value} is taken for a class{colon} {why}. If it marks ignored pixels: segnet data init --void "
                f"{value} --overwrite"
            )
    return doubts


def _of_instances(survey: LabelSurvey, classes: Sequence[int]) -> list[str]:
    alone = [value for value in classes if survey.values[value].num_files == 1]
    if len(alone) < _FEWEST_INSTANCES or 2 * len(alone) < len(classes) or survey.num_files < _FEWEST_FILES:
        return []
    shown = ", ".join(value_text(value, survey) for value in alone[:3])
    return [
        f"{len(alone)} of {len(classes)} values ({shown}, ...) are in one file each: are they numbers of objects, not "
        "of classes? Then write the ids of the classes instead"
    ]


def _of_colours(survey: LabelSurvey, classes: Sequence[int], names: Sequence[Named]) -> list[str]:
    """Colours that a table lacks, next to one that it has."""
    doubts = []
    known = {entry.value for entry in names}
    for value in classes if survey.kind == "colours" else []:
        for entry in names if value not in known else ():
            if distance_between(value, entry.value, survey) <= _NEAR:
                doubts.append(
                    f"{value_text(value, survey)} is nearly {value_text(entry.value, survey)}, '{entry.name}' in "
                    f"{entry.source}, and is taken for a class of its own; `segnet data import --colour-tolerance "
                    f"{_NEAR}` reads it as that"
                )
    return doubts


def _of_few_pixels(survey: LabelSurvey, classes: Sequence[int], names: Sequence[Named]) -> list[str]:
    """Values that may be slips: few pixels, or only along the boundaries of others."""
    doubts = []
    unnamed = [value for value in classes if value not in {entry.value for entry in names}]
    between = set(survey.smoothed_values(1))
    for value in unnamed if len(classes) > 2 else []:
        of, text = survey.values[value], value_text(value, survey)
        where = f"{of.pixels} pixel{'s' * (of.pixels != 1)}, most in {of.example}"
        if value in between and of.pixels > _FEW * survey.num_pixels:
            doubts.append(
                f"{text} lies only along boundaries, between two others ({where}), and is taken for a class: thin "
                "things, or smoothing? --snap reads it as the nearest class"
            )
        elif not of.has_region and of.pixels <= _FEW * survey.num_pixels:
            doubts.append(
                f"{text} has {where}, and is taken for a class. If it is a slip, correct the file; or ignore it: "
                f"--void {text}"
            )
    shown = doubts[:_SHOWN]
    return shown + ([f"and {len(doubts) - len(shown)} more such values"] if len(doubts) > len(shown) else [])
