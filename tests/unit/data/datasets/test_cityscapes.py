import numpy as np
import pytest
from PIL import Image

from segnet.data import open_dataset
from segnet.data.datasets.cityscapes import LABEL_IDS, Cityscapes
from segnet.errors import DataError, LabelError
from segnet.labels import CITYSCAPES_19, VOID

# label id -> train id as Cityscapes publishes it, for all 34
TRAIN_IDS = [255] * 7 + [0, 1, 255, 255, 2, 3, 4, 255, 255, 255, 5, 255, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15]
TRAIN_IDS += [255, 255, 16, 17, 18]


@pytest.fixture
def cityscapes(tmp_path):
    """One image of 1x35 in each of two cities; its labels hold every label id and 255."""
    for city, frame in (("aachen", "aachen_000000_000019"), ("bochum", "bochum_000000_000313")):
        image = tmp_path / "leftImg8bit" / "train" / city / f"{frame}_leftImg8bit.png"
        labels = tmp_path / "gtFine" / "train" / city / f"{frame}_gtFine_labelIds.png"
        for path in (image, labels):
            path.parent.mkdir(parents=True)
        Image.fromarray(np.full((1, 35, 3), 9, np.uint8)).save(image)
        Image.fromarray(np.array([[*range(34), 255]], np.uint8)).save(labels)
        # what lies beside them and is not read
        Image.fromarray(np.zeros((1, 35, 3), np.uint8)).save(labels.with_name(f"{frame}_gtFine_color.png"))
    return tmp_path


def test_label_ids_become_train_ids_and_the_rest_void(cityscapes):
    dataset = Cityscapes(cityscapes, "train")
    assert dataset.names == ("aachen_000000_000019", "bochum_000000_000313")
    sample = dataset[1]
    assert sample.target.tolist() == [[*TRAIN_IDS, VOID]]
    assert (sample.image == 9).all()


def test_each_class_has_its_label_id():
    assert list(LABEL_IDS) == list(CITYSCAPES_19.names)
    assert [TRAIN_IDS[i] for i in LABEL_IDS.values()] == list(range(19))


def test_auto_finds_it(cityscapes):
    assert isinstance(open_dataset(cityscapes, "train"), Cityscapes)


def test_errors_say_what_is_wrong(cityscapes):
    with pytest.raises(DataError, match=r"no Cityscapes split 'val' in .*: expected .*leftImg8bit/val/"):
        Cityscapes(cityscapes, "val")
    with pytest.raises(DataError, match=r"labels of its test split .* use val"):
        Cityscapes(cityscapes, "test")
    (cityscapes / "leftImg8bit" / "val").mkdir()
    (cityscapes / "gtFine" / "val").mkdir()
    with pytest.raises(DataError, match=r"no image .* expected .*val/CITY/X_leftImg8bit\.png"):
        Cityscapes(cityscapes, "val")
    labels = cityscapes / "gtFine" / "train" / "aachen" / "aachen_000000_000019_gtFine_labelIds.png"
    Image.fromarray(np.full((1, 35), 34, np.uint8)).save(labels)
    with pytest.raises(LabelError, match=r"unknown class id 34 \(35 pixels\); known: 0\.\.33, 255"):
        Cityscapes(cityscapes, "train")[0]
    labels.unlink()
    with pytest.raises(DataError, match=r"labelIds\.png is missing \(1 of 2 images have no label\); unpack gtFine"):
        Cityscapes(cityscapes, "train")
