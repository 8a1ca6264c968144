"""`segnet data init`: every kind of label image that people have, and what becomes of each value."""

import numpy as np
import pytest
from PIL import Image, TiffImagePlugin

from segnet.data import open_dataset
from segnet.data.datasets.folder import Folder
from segnet.data.describe_labels import init_folder
from segnet.data.reading.label_file import LABELS_TOML, read_labels_toml
from segnet.errors import ConfigError, DataError, LabelError
from segnet.labels import VOID, distinct_colours


def save(path, pixels, palette=None) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(np.asarray(pixels, np.uint8))
    if palette:
        image.putpalette(palette)
    image.save(path)


def masks(count=6, height=48, width=64):
    """Three classes: a background and two rectangles that move from mask to mask."""
    for i in range(count):
        mask = np.zeros((height, width), np.uint8)
        mask[8:30, 4 * i : 4 * i + 22] = 1
        mask[34:44, 10 : 50 - i] = 2
        yield i, mask


def labelled(root, encode, labels="labels", suffix=".png"):
    """A folder of images and of label images that `encode` makes from the number and the mask."""
    (root / "images").mkdir(parents=True)
    (root / labels).mkdir(parents=True)
    for i, mask in masks():
        Image.fromarray(np.dstack([mask * 80] * 3)).save(root / "images" / f"p{i}.png")
        encode(i, mask).save(root / labels / f"p{i}{suffix}")
    return root


def two_greys(mask):
    return (np.minimum(mask, 1) * 255).astype(np.uint8)


def smoothed(image):
    width, height = image.size
    small = image.resize((width - 4, height - 4), Image.Resampling.BILINEAR)
    return small.resize((width, height), Image.Resampling.BILINEAR)


def targets_of(root):
    """All targets by name, of both splits."""
    splits = [open_dataset(root, split) for split in ("train", "val")]
    return {sample.name: sample.target for split in splits for sample in split}


def test_rgb_in_black_and_white_is_two_classes_and_nothing_is_ignored(tmp_path):
    root = labelled(tmp_path / "d", lambda i, m: Image.fromarray(two_greys(m)).convert("RGB"))
    labels = init_folder(root).labels
    assert (labels.id_table, labels.void_ids) == ({0: 0, 255: 1}, ())
    for i, mask in masks():
        assert np.array_equal(targets_of(root)[f"p{i}"], np.minimum(mask, 1))


def test_rgb_and_palette_of_the_same_masks_give_the_same_classes(tmp_path):
    colours = np.array([[0, 0, 0], [255, 0, 0], [0, 255, 0]], np.uint8)

    def palette_image(i, mask):
        image = Image.fromarray(mask)
        image.putpalette(colours.tobytes())
        return image

    painted = labelled(tmp_path / "painted", lambda i, m: Image.fromarray(colours[m]))
    indexed = labelled(tmp_path / "indexed", palette_image)
    first, second = init_folder(painted).labels, init_folder(indexed).labels
    assert set(first.label_set.colours) == set(second.label_set.colours) == {tuple(c) for c in colours.tolist()}
    one, other = targets_of(painted), targets_of(indexed)
    for name, target in one.items():
        as_colours = np.array(first.label_set.colours)[target]
        assert np.array_equal(as_colours, np.array(second.label_set.colours)[other[name]])


def test_rgb_with_equal_channels_holds_ids(tmp_path):
    root = labelled(tmp_path / "d", lambda i, m: Image.fromarray(np.dstack([m] * 3)))
    labels = init_folder(root).labels
    assert (labels.kind, labels.id_table) == ("ids", {0: 0, 1: 1, 2: 2})
    assert all(np.array_equal(targets_of(root)[f"p{i}"], mask) for i, mask in masks())


def test_grey_files_and_rgb_files_with_equal_channels_are_ids_together(tmp_path):
    root = labelled(tmp_path / "d", lambda i, m: Image.fromarray(m if i % 2 else np.dstack([m] * 3)))
    description = init_folder(root)
    assert description.labels.id_table == {0: 0, 1: 1, 2: 2}
    pixels = np.bincount(np.concatenate([mask.ravel() for _, mask in masks()]))
    assert f"  0 -> class 'class-0': {pixels[0] / pixels.sum():.2%} of the pixels" in description.lines[1]


def test_spread_out_greys_are_classes_and_the_doubt_is_said(tmp_path):
    root = labelled(tmp_path / "d", lambda i, m: Image.fromarray(np.array([0, 128, 255], np.uint8)[m]))
    description = init_folder(root)
    assert (description.labels.id_table, description.labels.void_ids) == ({0: 0, 128: 1, 255: 2}, ())
    assert [line for line in description.lines if line.startswith("warning: 255 is taken for a class")]
    assert init_folder(root, void=["255"], overwrite=True).labels.id_table == {0: 0, 128: 1, 255: VOID}


@pytest.mark.parametrize(
    ("ids", "ignored"),
    [((0, 1, 255), True), ((0, 2, 5, 255), True), ((1, 2, 255), True), ((0, 255), False), ((0, 15, 255), False),
     ((0, 85, 170, 255), False), ((38, 78, 128), False)],
)  # fmt: skip
def test_255_is_ignored_beside_small_consecutive_ids_alone(ids, ignored, tmp_path):
    save(tmp_path / "labels" / "a.png", [list(ids)])
    labels = init_folder(tmp_path).labels
    assert labels.void_ids == ((255,) if ignored else ())
    assert labels.label_set.num_classes == len(ids) - ignored


def test_the_palette_of_voc_and_a_list_of_names_say_what_is_ignored(tmp_path):
    voc = np.zeros((256, 3), np.uint8)
    voc[1:21], voc[255] = distinct_colours(20), (224, 224, 192)
    save(tmp_path / "voc" / "labels" / "a.png", [[0, 15, 255]], voc.tobytes())
    assert init_folder(tmp_path / "voc").labels.id_table == {0: 0, 15: 1, 255: VOID}

    save(tmp_path / "named" / "labels" / "a.png", [[0, 1, 9]])
    (tmp_path / "named" / "classes.txt").write_text("0 road\n1: car\n9,ignore\n2 tree\n")
    labels = init_folder(tmp_path / "named").labels
    assert labels.label_set.names == ("road", "car", "tree")
    assert labels.id_table == {0: 0, 1: 1, 2: 2, 9: VOID}


def test_one_pixel_of_another_grey_is_a_warning_and_not_a_class(tmp_path):
    def encode(i, mask):
        grey = two_greys(mask)
        if i == 0:
            grey[9, 5] = 254
        return Image.fromarray(grey)

    root = labelled(tmp_path / "d", encode)
    description = init_folder(root)
    assert description.labels.label_set.num_classes == 2
    (warning,) = [line for line in description.lines if line.startswith("warning")]
    assert "1 pixel has the value 254" in warning and "p0.png" in warning
    assert np.array_equal(targets_of(root)["p0"], np.minimum(next(masks())[1], 1))


@pytest.mark.parametrize("coloured", [False, True])
def test_smoothed_labels_are_refused_by_name_and_snap_reads_them(coloured, tmp_path):
    colours = np.array([[10, 20, 30], [200, 10, 10], [10, 200, 10]], np.uint8)

    def encode(i, mask):
        image = Image.fromarray(colours[mask] if coloured else two_greys(mask))
        return smoothed(image) if i == 3 else image

    root = labelled(tmp_path / "d", encode)
    with pytest.raises(LabelError, match=r"p3\.png: \d+ values .* lie between two others .*--snap") as raised:
        init_folder(root)
    assert "p2.png" not in str(raised.value)
    assert not (root / LABELS_TOML).exists()
    labels = init_folder(root, snap=True).labels
    assert labels.label_set.num_classes == (3 if coloured else 2) and labels.snap
    assert read_labels_toml(root / LABELS_TOML).snap
    expected = dict(masks())[3] if coloured else np.minimum(dict(masks())[3], 1)
    target = targets_of(root)["p3"]
    if not coloured:
        assert (target == expected).mean() > 0.97  # the smoothing itself moves boundaries by part of a pixel
    else:
        assert len(np.unique(target)) == 3


def test_jpeg_labels_are_refused_and_snap_finds_their_classes(tmp_path):
    root = labelled(tmp_path / "d", lambda i, m: Image.fromarray(two_greys(m)), suffix=".jpg")
    with pytest.raises(LabelError, match=r"saved as JPEG.*--snap"):
        init_folder(root)
    assert init_folder(root, snap=True).labels.id_table == {0: 0, 255: 1}
    assert all((targets_of(root)[f"p{i}"] == np.minimum(mask, 1)).mean() > 0.99 for i, mask in masks())


@pytest.mark.parametrize("suffix", [".jpg", ".webp"])
def test_ids_in_a_format_that_changes_values_are_refused(suffix, tmp_path):
    root = labelled(tmp_path / "d", lambda i, m: Image.fromarray(m), suffix=suffix)
    with pytest.raises(LabelError, match=rf"p\d\{suffix}.*(0 and 1 lie too near to be told apart|saved as JPEG)"):
        init_folder(root)
    assert "one class only" in " ".join(init_folder(root, snap=True).lines)


def test_doubts_about_files_are_said(tmp_path):
    def doubts(name, encode, **more):
        return " ".join(init_folder(labelled(tmp_path / name, encode, **more)).lines)

    assert "p0.jp2 is in a format that may change values" in doubts(
        "jp2", lambda i, m: Image.fromarray(m), suffix=".jp2"
    )
    alpha = lambda i, m: Image.fromarray(np.dstack([m, m * 200]), "LA")  # noqa: E731
    assert "p0.png and others are transparent in places" in doubts("alpha", alpha)
    objects = lambda i, m: Image.fromarray(m.astype(np.uint16) * 1000 + 7 * i)  # noqa: E731
    assert "18 of 18 values (0, 7, 14, ...) are in one file each: are they numbers of objects" in doubts("n", objects)
    most = lambda i, m: Image.fromarray(np.array([0, 1, 65535], np.uint16)[m])  # noqa: E731
    assert "65535 is taken for a class, but is the largest that 16 bits hold" in doubts("most", most)
    near = labelled(
        tmp_path / "near", lambda i, m: Image.fromarray(np.array([[9, 9, 9], [200, 0, 0]], np.uint8)[m % 2])
    )
    (near / "classes.csv").write_text("road,9,9,9\ncar,201,0,0\n")
    assert "200,0,0 is nearly 201,0,0, 'car' in classes.csv" in " ".join(init_folder(near).lines)


@pytest.mark.parametrize(("dtype", "no_data"), [(np.int16, -9999), (np.int32, -1), (np.float32, np.nan)])
def test_a_tag_of_a_tiff_says_what_is_no_data(dtype, no_data, tmp_path):
    def encode(tag):
        class Tiff:
            def __init__(self, i, m):
                self.values = m.astype(dtype)
                self.values[m == 2] = no_data

            def save(self, path):
                info = TiffImagePlugin.ImageFileDirectory_v2()
                if tag:
                    info[42113] = str(no_data)
                values = self.values if dtype != np.int16 else self.values.astype(np.int32)
                Image.fromarray(values).save(path, tiffinfo=info)

        return Tiff

    root = labelled(tmp_path / "tag", encode(tag=True), suffix=".tif")
    assert "65535 -> ignored (no data, as the tag of p0.tif says)" in " ".join(init_folder(root).lines)
    assert np.unique(targets_of(root)["p0"]).tolist() == [0, 1, VOID]
    with pytest.raises(LabelError, match=r"p0\.tif holds values .*(NaN|-9999\.\.1|-1\.\.1); expected class ids 0"):
        init_folder(labelled(tmp_path / "none", encode(tag=False), suffix=".tif"))


def test_thin_classes_between_two_others_are_not_taken_for_smoothing(tmp_path):
    def encode(i, mask):
        ids = np.where(mask == 1, 4, 0).astype(np.uint8)
        ids[7, 5:15], ids[30, 5:15] = 2, 3  # lines of one pixel, along boundaries of 0 and 4
        return Image.fromarray(ids)

    assert init_folder(labelled(tmp_path / "d", encode)).labels.id_table == {0: 0, 2: 1, 3: 2, 4: 3}


def test_a_void_value_that_does_not_occur_or_has_another_form_is_refused(tmp_path):
    save(tmp_path / "labels" / "a.png", [[0, 1]])
    for text, message in (
        ("7", "no label image holds it; they hold 0, 1"),
        ("0,0,0", "expected an id"),
        ("x", "an id"),
    ):
        with pytest.raises(ConfigError, match=message):
            init_folder(tmp_path, void=[text])


def test_ids_above_255_are_read_where_there_are_not_too_many(tmp_path):
    (tmp_path / "labels").mkdir()
    (tmp_path / "images").mkdir()
    Image.fromarray(np.array([[7, 26001, 26002]], np.uint16)).save(tmp_path / "labels" / "a.png")
    for name in "ab":
        save(tmp_path / "images" / f"{name}.png", np.zeros((1, 3, 3)))
    Image.fromarray(np.array([[7, 7, 7]], np.uint8)).save(tmp_path / "labels" / "b.png")
    assert init_folder(tmp_path).labels.id_table == {7: 0, 26001: 1, 26002: 2}
    assert targets_of(tmp_path)["a"].tolist() == [[0, 1, 2]]


def test_init_of_grey_labels_names_classes_by_their_ids(tmp_path):
    save(tmp_path / "labels" / "a.png", [[0, 2, 255]])
    save(tmp_path / "labels" / "train" / "b.png", [[5]])
    assert init_folder(tmp_path).path == tmp_path / LABELS_TOML
    labels = read_labels_toml(tmp_path / LABELS_TOML)
    assert labels.label_set.names == ("class-0", "class-2", "class-5")
    assert labels.kind == "ids"
    assert labels.id_table == {0: 0, 2: 1, 5: 2, 255: VOID}


def test_init_of_palette_labels_keeps_their_colours(tmp_path):
    save(tmp_path / "labels" / "a.png", [[0, 1]], [1, 2, 3, 200, 100, 50])
    save(tmp_path / "labels" / "b.png", [[1]], [9, 9, 9, 200, 100, 50])  # id 0 is another colour, but not used here
    labels = init_folder(tmp_path).labels
    assert labels.label_set.colours == ((1, 2, 3), (200, 100, 50))
    assert labels.kind == "ids"


def test_init_of_palettes_that_disagree_goes_by_colour(tmp_path):
    save(tmp_path / "labels" / "a.png", [[0, 1]], [1, 2, 3, 200, 100, 50])
    save(tmp_path / "labels" / "b.png", [[0, 1]], [200, 100, 50, 1, 2, 3])
    labels = init_folder(tmp_path).labels
    assert labels.kind == "colours"
    for name in ("a", "b"):
        save(tmp_path / "images" / f"{name}.png", np.zeros((1, 2, 3)))
    (tmp_path / "train.txt").write_text("a\nb\n")
    dataset = Folder(tmp_path, "train")
    assert dataset[0].target.tolist() == [[0, 1]]
    assert dataset[1].target.tolist() == [[1, 0]]


def test_black_of_painted_labels_is_a_class_unless_the_user_says_otherwise(tmp_path):
    save(tmp_path / "labels" / "a.png", [[(0, 0, 0), (200, 1, 1), (1, 200, 1)]])
    assert init_folder(tmp_path).labels.colour_table == {(0, 0, 0): 0, (1, 200, 1): 1, (200, 1, 1): 2}
    labels = init_folder(tmp_path, void=["0,0,0"], overwrite=True).labels
    assert labels.colour_table == {(1, 200, 1): 0, (200, 1, 1): 1, (0, 0, 0): VOID}


def test_init_of_a_mask_makes_two_classes_of_0_and_255(tmp_path):
    save(tmp_path / "labels" / "a.png", [[0, 255]])
    assert init_folder(tmp_path).labels.id_table == {0: 0, 255: 1}


def test_init_does_not_overwrite_unless_asked(tmp_path):
    save(tmp_path / "labels" / "a.png", [[0, 1]])
    (tmp_path / LABELS_TOML).write_text("by hand")
    with pytest.raises(DataError, match="exists"):
        init_folder(tmp_path)
    assert (tmp_path / LABELS_TOML).read_text() == "by hand"
    init_folder(tmp_path, overwrite=True)
    assert read_labels_toml(tmp_path / LABELS_TOML).label_set.num_classes == 2


def test_init_refuses_what_it_cannot_use_and_writes_nothing(tmp_path):
    with pytest.raises(DataError, match="no label image"):
        init_folder(tmp_path)
    save(tmp_path / "labels" / "a.png", [[255, 255]])
    with pytest.raises(LabelError, match="all pixels"):
        init_folder(tmp_path, void=["255"])
    save(tmp_path / "labels" / "b.png", [[(1, 2, 3)]])
    with pytest.raises(LabelError, match=r"a\.png holds class ids but .*b\.png holds colours"):
        init_folder(tmp_path)
    (tmp_path / "labels" / "a.png").unlink()
    save(tmp_path / "labels" / "b.png", np.random.default_rng(0).integers(0, 256, (30, 30, 3)))
    with pytest.raises(LabelError, match="Is it no label"):
        init_folder(tmp_path)
    many = np.arange(300, dtype=np.uint16).reshape(15, 20).repeat(4, axis=0).repeat(4, axis=1)
    Image.fromarray(many).save(tmp_path / "labels" / "b.png")
    with pytest.raises(LabelError, match="300 different ids in 1 label images; at most 255 classes"):
        init_folder(tmp_path)
    (tmp_path / "labels" / "b.png").write_bytes(b"no image")
    with pytest.raises(DataError, match=r"b\.png is not an image"):
        init_folder(tmp_path)
    assert not (tmp_path / LABELS_TOML).exists()


def test_a_value_along_boundaries_alone_is_said_and_snap_removes_it(tmp_path):
    def encode(i, mask):
        grey = two_greys(mask)
        grey[:, 1:][np.diff(grey.astype(int), axis=1) != 0] = 128
        return Image.fromarray(grey)

    root = labelled(tmp_path / "d", encode)
    description = init_folder(root)
    assert description.labels.id_table == {0: 0, 128: 1, 255: 2}
    assert [line for line in description.lines if line.startswith("warning: 128 lies only along boundaries")]
    assert init_folder(root, snap=True, overwrite=True).labels.id_table == {0: 0, 255: 1}


def test_snap_takes_the_colours_of_a_table_where_jpeg_left_none_whole(tmp_path):
    """Labels that were JPEG and are PNG now have noise everywhere."""
    colours = np.array([[0, 0, 0], [200, 10, 10], [10, 200, 10]], np.uint8)

    def encode(i, mask):
        noise = np.random.default_rng(i).integers(0, 9, (*mask.shape, 3))
        noise[:4] = 0  # a part that is whole, so that the colour itself occurs
        return Image.fromarray((colours[mask] + noise).astype(np.uint8))

    root = labelled(tmp_path / "d", encode)
    (root / "classes.csv").write_text("name,r,g,b\nsoil,0,0,0\nbeet,200,10,10\nweed,10,200,10\n")
    with pytest.raises(LabelError, match="mostly without a region"):
        init_folder(root)
    labels = init_folder(root, snap=True).labels
    assert labels.label_set.names == ("soil", "beet", "weed")
    assert all(np.array_equal(targets_of(root)[f"p{i}"], mask) for i, mask in masks())
