"""JSON files of labelling tools, checked against the form they should have."""

import codecs
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BaseModel, RootModel, StringConstraints, ValidationError

from segnet.data.importers.classes import plain_name
from segnet.errors import DataError

ClassName = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1), AfterValidator(plain_name)]
_AnyModel = TypeVar("_AnyModel", bound=BaseModel)


class _List(RootModel[list[Any]]):
    pass


class _Mapping(RootModel[dict[str, Any]]):
    pass


def parse_json(form: type[_AnyModel], path: Path, what: str) -> _AnyModel:
    """A JSON file as a record.

    Args:
        form: of the record; other fields of the file are left aside.
        path: of the file, with or without the byte order mark that Windows writes.
        what: it should be, for the message: `a LabelMe file`.

    Raises:
        DataError: missing, not JSON, or of another form; says where in the file.
    """
    try:
        return form.model_validate_json(path.read_bytes().removeprefix(codecs.BOM_UTF8))
    except ValidationError as cause:
        raise DataError(f"{path} is not {what}: {_first(cause)}") from None
    except OSError as cause:
        raise DataError(f"{path} cannot be read: {cause.strerror or cause}") from None


def parse_json_list(path: Path, what: str) -> list[Any]:
    """A JSON file that holds a list; errors as in `parse_json`."""
    return parse_json(_List, path, what).root


def parse_json_mapping(path: Path, what: str) -> dict[str, Any]:
    """A JSON file that holds a mapping; errors as in `parse_json`."""
    return parse_json(_Mapping, path, what).root


def parse_record(form: type[_AnyModel], record: Any, where: str) -> _AnyModel:
    """One record of a file that was read already.

    Reading records one by one keeps the good ones of a file in which some are broken.

    Raises:
        DataError: it has another form; `where` says which record it is.
    """
    try:
        return form.model_validate(record)
    except ValidationError as cause:
        raise DataError(f"{where} cannot be used: {_first(cause)}") from None


def _first(cause: ValidationError) -> str:
    error = cause.errors()[0]
    field = ".".join(str(step) for step in error["loc"])
    return f"{field + ': ' if field else ''}{error['msg']}"
