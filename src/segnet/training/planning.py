"""From the words of a command to the settings of a run, its folder, and what to say before the first step."""

import math
import os
import time
from pathlib import Path

from segnet.config import Config, load_config
from segnet.errors import ConfigError
from segnet.io.text import toml_value
from segnet.training.checkpoint import may_begin, state_to_begin_with
from segnet.training.data_look import with_range_of_values
from segnet.training.run_context import chosen_config, config_of_run
from segnet.training.trial import measure_times, pixels_within, within_minutes


def plan_run(
    recipe: str | None, overrides: list[str], out: Path | None = None, *, minutes: float = 0, resume: bool = False
) -> tuple[Config, Path, tuple[str, ...]]:
    """The settings of a run: of a recipe, or chosen for the data and this machine.

    Args:
        recipe: name or file; None chooses.
        overrides: `section.key=value`; they win.
        out: folder of the run; None is `runs/` and the name of the data.
        minutes: to plan the schedule for, what is measured before it included; 0 takes that of the settings.
        resume: a resumed run keeps its settings, and nothing is measured. Where `may_begin` says so, it begins.

    Returns:
        Settings, folder, and lines for the person: what was chosen, and the time that is expected.

    Raises:
        ConfigError: an unknown recipe or setting, a run in the folder already, or a time that cannot be kept.
        SegNetError: what the first step of the run would raise.
    """
    began = time.perf_counter()
    given = load_config(recipe, overrides)
    out = out or Path("runs") / Path(given.data.path).resolve().name
    resume = resume and not may_begin(out)
    # the first of several plans for all, and cannot measure what they do together
    alone = "WORLD_SIZE" not in os.environ
    if minutes and (resume or not alone):
        why = "a resumed run has its schedule" if resume else "is measured in one process"
        raise ConfigError(f"--minutes: {why}; leave it out, and set train.epochs or train.max_steps instead")
    if resume:
        kept = config_of_run(out, overrides) if recipe is None else with_range_of_values(given)[0]
        if kept is None:  # no settings of a training there: the checkpoint says why, or fits the settings given
            state_to_begin_with(given, out, resume=True)
        return kept or given, out, ()
    state_to_begin_with(given, out, resume=False)  # a run in the folder is refused before anything is measured
    config, lines = with_range_of_values(given)
    if recipe is None:
        low_high = config.data.value_range
        values = [f"data.value_range={toml_value(list(low_high))}"] if low_high else []
        short_px = None
        if minutes:
            first, _ = chosen_config([*values, *overrides])
            rough = measure_times(first, roughly=True)
            short_px = pixels_within(first, rough, minutes, spent_s=time.perf_counter() - began)
        limit_s = minutes * 60 or math.inf
        config, chosen = chosen_config(
            [*values, *overrides], try_out=alone and not short_px, limit_s=limit_s, short_px=short_px
        )
        lines = (*chosen, *lines)
    if not alone:
        return config, out, lines
    times = measure_times(config)
    if minutes:
        config = within_minutes(config, times, minutes, spent_s=time.perf_counter() - began)
    return config, out, (*lines, times.line(config))
