"""What is mutated and what reads it: a kind has files to begin with, a mutator, and a reader.

A reader gives an answer or raises a `SegNetError`. Anything else is a finding: another exception, more CPU time than
`LIMIT_S`, more memory than `LIMIT_MIB` above that before, or the end of the process.
"""

import io
import random
import resource
import signal
import tempfile
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from frames import xml
from further_inputs import FURTHER, further
from mutators import Mutator, blind, either, jpeg, json_text, png, protobuf, riff, safetensors, tiff, tokens
from PIL import Image

LIMIT_S = 5.0
LIMIT_MIB = 1024
PIXEL_LIMIT = 4_000_000


class TooSlow(BaseException):
    """More CPU time than `LIMIT_S`."""


@dataclass(frozen=True)
class Kind:
    """Attributes:
    seeds: files to begin with, by file name.
    mutate: bytes to bytes.
    read: a path of the mutated file; answers or raises.
    """

    seeds: dict[str, bytes]
    mutate: Mutator
    read: Callable[[Path], object]


@dataclass(frozen=True)
class Outcome:
    """`answer`, `refusal` or `finding`, and the reason of the last two."""

    what: str
    reason: str = ""


def mutated(kinds: dict[str, Kind], kind: str, seed: int, index: int) -> tuple[str, bytes]:
    """Name and bytes of an input: the same for the same kind, seed and index."""
    rng = random.Random(f"{seed}:{kind}:{index}")
    name = rng.choice(sorted(kinds[kind].seeds))
    return name, kinds[kind].mutate(kinds[kind].seeds[name], rng)


def outcome_of(kind: Kind, path: Path) -> Outcome:
    """Reads one file under the limits."""
    from segnet.errors import SegNetError

    def alarm(*_: object) -> None:
        raise TooSlow

    before = signal.signal(signal.SIGPROF, alarm)
    signal.setitimer(signal.ITIMER_PROF, LIMIT_S)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            kind.read(path)
        return Outcome("answer")
    except SegNetError as error:
        text = str(error)
        bad = "" if len(text.splitlines()) <= 1 and text.strip() else "message of several lines or none: "
        return Outcome("finding", f"{bad}{text[:300]!r}") if bad else Outcome("refusal", text)
    except TooSlow:
        return Outcome("finding", f"more than {LIMIT_S:g} s of CPU time")
    except RecursionError:
        return Outcome("finding", "RecursionError")
    except Exception as error:
        frames, at = [], error.__traceback__
        while at:
            frames.append(f"{Path(at.tb_frame.f_code.co_filename).name}:{at.tb_frame.f_code.co_name}")
            at = at.tb_next
        return Outcome("finding", f"{type(error).__name__} in {' > '.join(frames[-3:])}: {str(error)[:200]}")
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


def limit_memory() -> None:
    """Address space, for this process: an allocation beyond it raises MemoryError."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    most = pages * resource.getpagesize() + LIMIT_MIB * 2**20
    resource.setrlimit(resource.RLIMIT_AS, (most, most))


# ------------------------------------------------------------------------------------------------ the kinds


def image_seeds() -> dict[str, dict[str, bytes]]:
    """Files of each format, small, in several forms."""
    from segnet.data.street.scenes import Street

    rgb = Image.fromarray(Street(1, (24, 32), seed=1)[0].image)
    exif = Image.Exif()
    exif[274], exif[306] = 6, "2026"
    deep = Image.fromarray(np.arange(24 * 32, dtype=np.uint16).reshape(24, 32) * 85)
    forms: dict[str, list[tuple[str, Image.Image, str, dict[str, object]]]] = {
        "png": [
            ("rgb.png", rgb, "PNG", {}),
            ("exif.png", rgb, "PNG", {"exif": exif}),
            ("p.png", rgb.quantize(16), "PNG", {}),
            ("p-alpha.png", rgb.quantize(16), "PNG", {"transparency": 3}),
            ("rgba.png", rgb.convert("RGBA"), "PNG", {}),
            ("la.png", rgb.convert("LA"), "PNG", {}),
            ("16.png", deep, "PNG", {}),
            ("1.png", rgb.convert("1"), "PNG", {}),
            ("moving.png", rgb, "PNG", {"save_all": True, "append_images": [rgb.rotate(90)]}),
        ],
        "jpeg": [
            ("rgb.jpg", rgb, "JPEG", {"exif": exif}),
            ("grey.jpg", rgb.convert("L"), "JPEG", {}),
            ("progressive.jpg", rgb, "JPEG", {"progressive": True}),
            ("cmyk.jpg", rgb.convert("CMYK"), "JPEG", {}),
        ],
        "tiff": [
            ("rgb.tif", rgb, "TIFF", {}),
            ("lzw.tif", rgb, "TIFF", {"compression": "tiff_lzw"}),
            ("deflate.tif", rgb, "TIFF", {"compression": "tiff_adobe_deflate"}),
            ("p.tif", rgb.quantize(16), "TIFF", {}),
            ("16.tif", deep, "TIFF", {}),
            ("cmyk.tif", rgb.convert("CMYK"), "TIFF", {}),
            ("jpeg.tif", rgb, "TIFF", {"compression": "jpeg"}),
            ("f.tif", rgb.convert("F"), "TIFF", {}),
            ("pages.tif", rgb, "TIFF", {"save_all": True, "append_images": [rgb.rotate(90)]}),
        ],
        "webp": [
            ("rgb.webp", rgb, "WEBP", {"exif": exif}),
            ("lossless.webp", rgb.convert("RGBA"), "WEBP", {"lossless": True}),
            ("moving.webp", rgb, "WEBP", {"save_all": True, "append_images": [rgb.rotate(90)]}),
        ],
        "gif": [
            ("p.gif", rgb, "GIF", {}),
            ("moving.gif", rgb, "GIF", {"save_all": True, "append_images": [rgb.rotate(90)]}),
        ],
        "bmp": [
            ("rgb.bmp", rgb, "BMP", {}),
            ("p.bmp", rgb.quantize(16), "BMP", {}),
            ("1.bmp", rgb.convert("1"), "BMP", {}),
        ],
        "ppm": [
            ("rgb.ppm", rgb, "PPM", {}),
            ("grey.pgm", rgb.convert("L"), "PPM", {}),
            ("16.pgm", deep, "PPM", {}),
            ("1.pbm", rgb.convert("1"), "PPM", {}),
        ],
    }
    made: dict[str, dict[str, bytes]] = {}
    for kind, several in forms.items():
        made[kind] = {}
        for name, image, form, options in several:
            file = io.BytesIO()
            image.save(file, format=form, **options)
            made[kind][name] = file.getvalue()
    made["ppm"]["text.ppm"] = b"P3\n# a comment\n4 2\n255\n" + b" ".join(str(i * 9).encode() for i in range(24)) + b"\n"
    return made


def read_any_image(path: Path) -> None:
    """As prediction, as bands, as a label image, and as the service does; each must answer or refuse."""
    from segnet.data.reading.images import header_of, open_image, pages_note, read_bands, read_image
    from segnet.data.reading.targets import read_colours_target, read_ids_target
    from segnet.errors import SegNetError
    from segnet.serve.decoding import ImageLimits, decode_image
    from segnet.serve.refusal import RefusalError

    open_image.__defaults__ = (PIXEL_LIMIT,)  # of label images: its own limit allows more memory than this test
    refused: list[SegNetError] = []
    ids = dict(enumerate(range(12)))
    for read in (
        lambda: header_of(path),
        lambda: read_image(path, PIXEL_LIMIT),
        lambda: read_bands(path, PIXEL_LIMIT, None),
        lambda: read_ids_target(path, ids, snap=True),
        lambda: read_colours_target(path, {(0, 0, 0): 0, (255, 255, 255): 1}, snap=True),
    ):
        try:
            found = read()
        except SegNetError as error:
            refused.append(error)
            if len(str(error).splitlines()) != 1:
                raise
        else:
            if isinstance(found, np.ndarray):
                assert found.dtype == np.uint8 or found.ndim == 3
                assert found.size
    pages_note(path)
    try:
        image = decode_image(path.read_bytes(), ImageLimits(PIXEL_LIMIT, 8192, 100, 10_000))
        assert image.dtype == np.uint8 and image.ndim == 3 and image.shape[2] == 3
    except RefusalError as error:
        assert error.status in (400, 413)
    if len(refused) == 5:
        raise refused[1]


def importer_kind(tool: str, room: Path) -> Kind:
    """The text files of a tool's export, or its label images where it has no text; the images beside them stay."""
    from export_samples import SAMPLES

    from segnet.data.importers import import_dataset

    src, out = room / tool, room / f"{tool}-out"
    src.mkdir(parents=True)
    SAMPLES[tool](src)
    texts = {
        path.relative_to(src).as_posix(): path.read_bytes()
        for path in sorted(src.rglob("*"))
        if path.suffix in (".json", ".xml", ".txt", ".csv", ".yaml", ".toml", ".parquet")
        or (tool in LABEL_IMAGES and path.suffix == ".png")
    }

    def mutate(data: bytes, rng: random.Random) -> bytes:
        if data[:4] == b"\x89PNG":
            return either(png, png, blind)(data, rng)
        if data[:1] == b"<":
            return either(xml, xml, tokens, blind)(data, rng)
        return json_text(data, rng) if data[:1] in (b"{", b"[") else rng.choice((tokens, tokens, blind))(data, rng)

    def read(path: Path) -> None:
        from segnet.errors import SegNetError

        place = src / path.name.replace("@", "/")
        before = place.read_bytes()
        place.write_bytes(path.read_bytes())
        try:
            import_dataset(src, out, data_format=tool)
        except SegNetError:
            assert not out.exists(), "something was left"
            raise
        finally:
            place.write_bytes(before)
            import shutil

            shutil.rmtree(out, ignore_errors=True)
            strays = [p for p in room.iterdir() if p.name.startswith(".")]
            assert not strays, strays

    return Kind({name.replace("/", "@"): data for name, data in texts.items()}, mutate, read)


def http_kind() -> Kind:
    """Bodies and content types of requests to the service, which answers below 500; see `request_bytes`."""
    from fastapi.testclient import TestClient

    from segnet.serve.app import create_app
    from segnet.serve.limits import Limits
    from segnet.serve.models import load_models

    app = create_app(
        load_models(["segnet-basic-camvid"], device="cpu"), Limits(max_pixels=2_000, max_bytes=200_000), {}
    )
    client = TestClient(app, raise_server_exceptions=True)
    client.__enter__()
    file = io.BytesIO()
    Image.new("RGB", (8, 6), (90, 90, 90)).save(file, "PNG")
    image = file.getvalue()
    form = b'--x\r\nContent-Disposition: form-data; name="image"; filename="a.png"\r\nContent-Type: image/png\r\n\r\n'
    infer = (
        b'{"id":"1","inputs":[{"name":"image",'
        b'"shape":[1,2,2,3],"datatype":"UINT8","data":[1,2,3,4,5,6,7,8,9,10,11,12]}],'
        b'"outputs":[{"name":"classes"}]}'
    )
    head = b"POST %s\ncontent-type: %s\naccept: %s\n\n"
    seeds = {
        "form": head % (b"/v1/segment?maps=classes", b"multipart/form-data; boundary=x", b"*/*")
        + form
        + image
        + b"\r\n--x--\r\n",
        "raw": head % (b"/v1/segment?answer=overlay&opacity=0.5", b"image/png", b"image/png") + image,
        "infer": head % (b"/v2/models/segnet-basic-camvid/infer", b"application/json", b"application/json") + infer,
        "models": b"GET /v1/models\naccept: */*\nx-api-key: a\n\n",
    }

    def read(path: Path) -> None:
        start, _, body = path.read_bytes().partition(b"\n\n")
        first, *lines = start.split(b"\n")
        method, _, target = first.decode("latin-1").partition(" ")
        headers = [tuple(part.strip() for part in line.partition(b":")[::2]) for line in lines if b":" in line]
        try:
            request = client.build_request(method, target, headers=headers, content=body)
        except Exception:
            return  # not a request that any client could send
        answer = client.send(request)
        assert answer.status_code < 500, f"{answer.status_code}: {answer.text[:200]}"
        if answer.status_code >= 400 and method != "HEAD":
            from segnet.errors import SegNetError

            raise SegNetError(f"{answer.status_code}")

    def mutate(data: bytes, rng: random.Random) -> bytes:
        start, _, body = data.partition(b"\n\n")
        if rng.random() < 0.5 and body[:1] == b"{":
            return start + b"\n\n" + json_text(body, rng)
        return (
            rng.choice((tokens, blind))(start, rng) + b"\n\n" + body
            if rng.random() < 0.4
            else start + b"\n\n" + blind(body, rng)
        )

    return Kind(seeds, mutate, read)


def caffemodel_seeds() -> dict[str, bytes]:
    from caffe_files import Blobs, write_caffemodel

    rng = np.random.default_rng(0)
    blobs: Blobs = {
        name: [rng.standard_normal((4, 3, 3, 3), np.float32), rng.standard_normal(4, np.float32)]
        for name in ("conv1", "conv2", "conv_classifier")
    }
    with tempfile.TemporaryDirectory() as folder:
        return {"tiny.caffemodel": write_caffemodel(Path(folder) / "tiny.caffemodel", blobs).read_bytes()}


def safetensors_seeds() -> dict[str, bytes]:
    from tiny_jobs import tiny_weights

    with tempfile.TemporaryDirectory() as folder:
        return {"tiny.safetensors": tiny_weights(Path(folder) / "tiny.safetensors", 4).read_bytes()}


def read_weights(path: Path) -> None:
    from segnet.errors import WeightsError
    from segnet.weights.file import load_weights, read_card

    try:
        read_card(path)
    except WeightsError:
        try:
            load_weights(path)
        except WeightsError as error:
            raise error from None
        raise AssertionError("weights without a card were loaded") from None
    model, card = load_weights(path)
    assert card.label_set.num_classes >= 1 and not model.training


LABEL_IMAGES = ("masks", "cityscapes", "kitti", "ade20k")
IMPORTERS = (
    *LABEL_IMAGES,
    "coco",
    "yolo",
    "cvat",
    "labelme",
    "roboflow-masks",
    "label-studio",
    "supervisely",
    "via",
    "voc",
    "colours",
    "parquet",
    "coco-panoptic",
    "mapillary",
)


def kinds_of(names: tuple[str, ...], room: Path) -> dict[str, Kind]:
    """The kinds asked for; building some takes a second."""
    from segnet.caffe.caffemodel import read_caffe_file
    from segnet.caffe.prototxt import LayerText, prototxt_text, read_prototxt
    from segnet.config import load_config
    from segnet.data.datasets.folder import write_folder
    from segnet.data.reading.label_file import read_labels_toml
    from segnet.data.street.scenes import Street

    structured = {"png": png, "jpeg": jpeg, "webp": riff, "tiff": tiff, "ppm": tokens}
    kinds: dict[str, Kind] = {}
    if set(names) & {"png", "jpeg", "tiff", "webp", "gif", "bmp", "ppm"}:
        for name, seeds in image_seeds().items():
            kinds[name] = Kind(seeds, either(blind, structured.get(name, blind)), read_any_image)
    if "labels.toml" in names:
        write_folder(room / "folder", Street(1, (16, 16)))
        colours = (
            b'name = "s"\nlabels = "colours"\nvoid_colours = [[0, 0, 0]]\nsnap = true\n'
            b'[[class]]\nname = "road"\ncolour = [128, 64, 128]\n'
        )
        seeds = {"labels.toml": (room / "folder" / "labels.toml").read_bytes(), "colours.toml": colours}
        kinds["labels.toml"] = Kind(seeds, either(tokens, tokens, blind), read_labels_toml)
    if "recipe" in names:
        seeds = {"recipe.toml": load_config(None, ["train.lr=0.01"]).to_toml().encode()}
        kinds["recipe"] = Kind(seeds, either(tokens, tokens, blind), lambda path: load_config(str(path)))
    for tool in IMPORTERS:
        if tool in names:
            kinds[tool] = importer_kind(tool, room)
    if "safetensors" in names:
        kinds["safetensors"] = Kind(safetensors_seeds(), safetensors, read_weights)
    if "caffemodel" in names:
        kinds["caffemodel"] = Kind(caffemodel_seeds(), either(protobuf, protobuf, blind), read_caffe_file)
    if "prototxt" in names:
        layers = [
            LayerText(
                "conv1", "Convolution", ("data",), ("conv1",), ("convolution_param", {"num_output": 4, "pad": 1})
            ),
            LayerText("pool1", "Pooling", ("conv1",), ("pool1", "pool1_mask"), ("pooling_param", {"kernel_size": 2})),
        ]
        kinds["prototxt"] = Kind(
            {"a.prototxt": prototxt_text("a", (8, 8), layers).encode()}, either(tokens, blind), read_prototxt
        )
    for name in FURTHER:
        if name in names:
            kinds[name] = Kind(*further(name, room / name))
    if "http" in names:
        kinds["http"] = http_kind()
    return {name: kinds[name] for name in names}


ALL = (
    "png",
    "jpeg",
    "tiff",
    "webp",
    "gif",
    "bmp",
    "ppm",
    "labels.toml",
    "recipe",
    "safetensors",
    "caffemodel",
    "prototxt",
    *IMPORTERS,
    *FURTHER,
    "http",
)
