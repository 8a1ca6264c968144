"""CVAT: an XML file with polygons, masks, boxes and ellipses, and the classes with their colours.

Both forms are read: "CVAT for images", where each <image> holds its shapes, and "CVAT for video", where a <track> holds
one object over all frames. Shapes are drawn by their `z_order`, those of the same order as in the file. Boxes and
ellipses count as what they enclose. Points, lines, skeletons and cuboids are left out, which is noted; tags are no
classes. The subsets of a project are its splits.
"""

from collections import Counter
from pathlib import Path
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

from segnet.data.importers.annotations import Annotations, Shape, ShapeImage
from segnet.data.importers.classes import plain_name
from segnet.data.importers.cvat_shapes import WITH_AREA, cvat_number, cvat_shapes
from segnet.data.importers.cvat_video import read_frames
from segnet.data.importers.imported import joined_by_image
from segnet.data.importers.listing import Listing
from segnet.data.importers.problems import ImportContext, Problems
from segnet.data.importers.source import ImageFinder, split_word
from segnet.errors import DataError, LabelError
from segnet.labels import Colour

_OTHERS = ("polyline", "points", "skeleton", "cuboid")


def recognise_cvat(listing: Listing) -> str:
    """Why a source is CVAT's; empty where it is not."""
    for path in listing.ending(".xml"):
        try:
            with path.open("rb") as file:
                if b"<annotations>" in file.read(512):
                    return f"{path.name} begins with <annotations>"
        except OSError:
            continue
    return ""


def read_cvat(src: Path, context: ImportContext) -> Annotations:
    """Reads one XML file, or every `annotations.xml` below a folder.

    Args:
        src: the file, or the folder; images are looked for below the folder.
        context: gets what is broken: shapes, and images that are missing.

    Raises:
        DataError: no such file, or none of CVAT's.
    """
    paths = [src] if src.is_file() else sorted(src.rglob("annotations.xml")) or [src / "annotations.xml"]
    left_out, classes, images = Counter[str](), dict[str, Colour | None](), list[ShapeImage]()
    for path in paths:
        with context.problems.collect():
            root = _root(path)
            declared = _declared(root, path)
            classes |= {name: colour for name, colour in declared.items() if classes.get(name) is None}
            finder = ImageFinder(path.parent if len(paths) == 1 else src)
            found = _read_images(root, path, finder, context.problems)
            found += read_frames(root, path, finder, context.problems)
            for image in found:
                shapes = _declared_only(image, declared, context.problems)
                classes |= {shape.class_name: None for shape in shapes if shape.class_name not in classes}
                images.append(ShapeImage(image.path, shapes, path, image.size_px, image.split))
            left_out.update(element.tag for element in root.iter() if element.tag in _OTHERS)
    if not images:
        context.problems.raise_any()
        raise DataError(f"{paths[0]} holds no <image>; export the task as 'CVAT for images 1.1'")
    notes = tuple(
        f"{count} shapes of kind '{kind}' enclose nothing and are left out" for kind, count in left_out.items()
    )
    return Annotations(joined_by_image(images), classes, notes, order="file")


def _root(path: Path) -> Element:
    try:
        root = ElementTree.parse(path).getroot()
    except FileNotFoundError:
        raise DataError(
            f"{path} does not exist; expected the file of a task exported as 'CVAT for images 1.1'"
        ) from None
    except (OSError, ElementTree.ParseError, ValueError, LookupError) as cause:
        raise DataError(f"{path} cannot be read as XML: {cause}") from None
    if root.tag != "annotations":
        raise DataError(f"{path} is not CVAT's: it begins with <{root.tag}>, expected <annotations>")
    return root


def _declared(root: Element, path: Path) -> dict[str, Colour | None]:
    """The labels in <meta> that can be classes, with their colours."""
    with_area = {e.get("label", "").strip() for e in root.iter() if e.tag in (*WITH_AREA, "track")}
    others = {e.get("label", "").strip() for e in root.iter() if e.tag in (*_OTHERS, "tag")} - with_area
    found: dict[str, Colour | None] = {}
    for label in root.iterfind("meta//labels/label"):
        name, kind = (label.findtext("name") or "").strip(), label.findtext("type") or "any"
        if label.get("parent") or label.findtext("parent"):
            continue  # a point of a skeleton
        if name not in with_area and (name in others or kind in (*_OTHERS, "tag")):
            continue  # a tag of a whole image, or a label of lines or points
        text = (label.findtext("color") or "").removeprefix("#")
        try:
            found[plain_name(name)] = _colour(bytes.fromhex(text))
        except ValueError:
            raise DataError(f"{path}: the colour '{text}' of a label is not six hexadecimal digits") from None
    return found


def _colour(values: bytes) -> Colour | None:
    return (values[0], values[1], values[2]) if len(values) == 3 else None


def _read_images(root: Element, path: Path, finder: ImageFinder, problems: Problems) -> list[ShapeImage]:
    """What the <image> elements hold."""
    images = []
    for image in root.iter("image"):
        where = f"{path}: image '{image.get('name', '')}'"
        with problems.collect():
            size_px = (int(cvat_number(image, "height", where)), int(cvat_number(image, "width", where)))
            elements = [(e.get("label", ""), e) for e in image if e.tag in WITH_AREA]
            shapes = cvat_shapes(elements, size_px, where, problems)
            found = finder.find(image.get("name", ""), path)
            images.append(ShapeImage(found, shapes, path, size_px, split_word(image.get("subset", ""))))
    return images


def _declared_only(image: ShapeImage, declared: dict[str, Colour | None], problems: Problems) -> tuple[Shape, ...]:
    """The shapes whose label the file declares; all of them where it declares none."""
    shapes = []
    for shape in image.shapes:
        with problems.collect():
            if declared and shape.class_name not in declared:
                raise LabelError(
                    f"{image.source}: image '{image.path.name}': the label '{shape.class_name}' is not declared in "
                    f"<meta>; known: {', '.join(declared)}"
                )
            shapes.append(shape)
    return tuple(shapes)
