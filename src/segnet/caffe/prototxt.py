"""Caffe's prototxt: reads as much of the text format as checking layers needs, and writes one for the fork."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from segnet.errors import DataError, WeightsError
from segnet.io.text import read_text

_TOKEN = re.compile(r"""\s*(?:\#[^\n]*|("(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|[{}:;,\[\]<>]|[^\s{}:;,\[\]<>"'\#]+))""")
_PUNCTUATION = set("{}<>:;,[]")


@dataclass
class Message:
    """A message of the text format.

    Attributes:
        values: of each simple field, as text, in order.
        messages: of each field that is a message, in order.
    """

    values: dict[str, list[str]] = field(default_factory=dict)
    messages: dict[str, list["Message"]] = field(default_factory=dict)

    def text(self, name: str, default: str = "") -> str:
        """The last value of a simple field."""
        return self.values.get(name, [default])[-1]

    def message(self, name: str) -> "Message":
        """The last message of a field; an empty one where there is none."""
        return self.messages.get(name, [Message()])[-1]


def read_prototxt(path: Path) -> list[Message]:
    """The layers of a prototxt, of today's form (`layer`) or of 2014's (`layers`).

    Raises:
        WeightsError: the file is missing, is not text of this format, or has no layers, such as a solver's prototxt.
    """
    try:
        text = read_text(path)
    except DataError as cause:
        raise WeightsError(f"not a prototxt: {cause}") from None
    try:
        root = _parse(_tokens(text), nested=False)
    except WeightsError as cause:
        raise WeightsError(f"{path} is not a prototxt: {cause}") from None
    layers = [*root.messages.get("layer", []), *root.messages.get("layers", [])]
    if not layers:
        raise WeightsError(f"{path} has no layers; use the prototxt of the model, not that of the solver")
    return layers


def _tokens(text: str) -> Iterator[str]:
    position = 0
    text = text.rstrip()
    while position < len(text):
        found = _TOKEN.match(text, position)
        if found is None or found.end() == position:
            raise WeightsError(f"line {text.count(chr(10), 0, position) + 1} cannot be read")
        position = found.end()
        if found[1]:
            yield found[1]


def _parse(tokens: Iterator[str], *, nested: bool) -> Message:
    message = Message()
    for name in tokens:
        if name in ("}", ">"):
            if not nested:
                raise WeightsError("a closing brace without an opening one")
            return message
        if name in (";", ","):
            continue
        if name in _PUNCTUATION:
            raise WeightsError(f"expected the name of a field, got '{name}'")
        token = next(tokens, "")
        if token == ":":
            token = next(tokens, "")
        if token in ("{", "<"):
            message.messages.setdefault(name, []).append(_parse(tokens, nested=True))
        elif token == "[":
            values = [value for value in iter(lambda: next(tokens, "]"), "]") if value != ","]
            message.values.setdefault(name, []).extend(value.strip("\"'") for value in values)
        elif token == "" or token in _PUNCTUATION:
            raise WeightsError(f"field {name if name.isprintable() else repr(name)} has no value")
        else:
            message.values.setdefault(name, []).append(token.strip("\"'"))
    if nested:
        raise WeightsError("the file is truncated inside a message")
    return message


# ------------------------------------------------------------------------------------------------ writing


@dataclass(frozen=True)
class LayerText:
    """One layer to write.

    Attributes:
        name: of the layer.
        kind: its type, such as `Convolution`.
        bottoms: names of its inputs.
        tops: names of its outputs.
        parameters: name of a parameter message, and its fields; empty for a layer without.
    """

    name: str
    kind: str
    bottoms: tuple[str, ...]
    tops: tuple[str, ...]
    parameters: tuple[str, dict[str, str | int | float]] | None = None


def prototxt_text(name: str, size_px: tuple[int, int], layers: list[LayerText]) -> str:
    """A prototxt for images (1, 3, H, W), BGR 0..255, in a blob called `data`."""
    lines = [f'name: "{name}"', 'input: "data"']
    lines += [f"input_dim: {side}" for side in (1, 3, *size_px)]
    for layer in layers:
        lines += ["layer {", f'  name: "{layer.name}"', f'  type: "{layer.kind}"']
        lines += [f'  bottom: "{bottom}"' for bottom in layer.bottoms]
        lines += [f'  top: "{top}"' for top in layer.tops]
        if layer.parameters:
            message, fields = layer.parameters
            lines += [f"  {message} {{", *(f"    {key}: {value}" for key, value in fields.items()), "  }"]
        lines.append("}")
    return "\n".join(lines) + "\n"
