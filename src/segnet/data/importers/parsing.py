"""JSON files of labelling tools, checked against the form they should have."""

import codecs
from pathlib import Path
from typing import Annotated, TypeVar

from pydantic import BaseModel, StringConstraints, ValidationError

from segnet.errors import DataError

ClassName = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
_AnyModel = TypeVar("_AnyModel", bound=BaseModel)


def parse_json(form: type[_AnyModel], path: Path, what: str) -> _AnyModel:
    """A JSON file as a record.

    Args:
        form: of the record; other fields of the file are left aside.
        path: of the file, with or without the mark that Windows puts in front.
        what: it should be, for the message: `a LabelMe file`.

    Raises:
        DataError: missing, not JSON, or of another form; says where in the file.
    """
    try:
        return form.model_validate_json(path.read_bytes().removeprefix(codecs.BOM_UTF8))
    except ValidationError as cause:
        first = cause.errors()[0]
        place = ".".join(str(step) for step in first["loc"])
        raise DataError(f"{path} is not {what}: {place + ': ' if place else ''}{first['msg']}") from None
    except OSError as cause:
        raise DataError(f"{path} cannot be read: {cause.strerror or cause}") from None
