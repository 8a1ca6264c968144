"""Scores of a dataset whose images are divided among processes: the same numbers as from one."""

from torch import nn

from segnet.data.sample import Dataset, Sample
from segnet.device import DeviceSpec
from segnet.inference.evaluate import evaluate
from segnet.labels import LabelSet
from segnet.metrics.scores import Scores
from segnet.training.distributed import Processes


def evaluate_split(
    processes: Processes,
    model: nn.Module,
    dataset: Dataset,
    device_spec: DeviceSpec,
    *,
    boundaries: bool = True,
    longest_side_px: int | None = None,
) -> Scores:
    """Scores a model on a dataset, each process a part of it.

    Args:
        processes: all call this; each has the same model and dataset.
        model: of any package.
        dataset: labelled.
        device_spec: device and precision.
        boundaries: as in `evaluate`.
        longest_side_px: as in `evaluate`.

    Returns:
        The scores of all images, in every process. Counts of pixels add up and the images stand in the order of the
        dataset, so nothing rounds otherwise than in one process.

    Raises:
        SegNetError: as in `evaluate`; an error of one process is raised in all.
    """

    def own_scores() -> Scores:
        own = dataset if processes.count == 1 else _Share(dataset, processes)
        if not len(own):  # fewer images than processes
            return Scores(dataset.label_set)
        return evaluate(model, own, device_spec, boundaries=boundaries, longest_side_px=longest_side_px)

    parts = processes.each(own_scores)
    scores = Scores(dataset.label_set)
    for part in parts:
        scores.counts += part.counts
    scores.images = [parts[i % processes.count].images[i // processes.count] for i in range(len(dataset))]
    return scores


class _Share:
    """One process's images: every `count`-th of a dataset, so that long and short ones are spread evenly."""

    label_set: LabelSet

    def __init__(self, dataset: Dataset, processes: Processes) -> None:
        self.dataset, self.rank, self.count = dataset, processes.rank, processes.count
        self.names, self.label_set = dataset.names[self.rank :: self.count], dataset.label_set

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, index: int) -> Sample:
        if index >= len(self):
            raise IndexError(index)
        return self.dataset[self.rank + index * self.count]
