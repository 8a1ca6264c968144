"""A request's body -> the bytes of the images in it: counted as they come, in memory only, file names ignored."""

import asyncio
from collections.abc import AsyncGenerator
from http import HTTPStatus

from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect, Request

from segnet.serve.limits import Limits
from segnet.serve.refusal import RefusalError
from segnet.serve.slots import ByteBudget

FIELD = "image"
RAW_TYPES = (
    "image/png",
    "image/jpeg",
    "image/jpg",  # no type of IANA's, but many send it
    "image/webp",
    "image/gif",
    "image/bmp",
    "image/tiff",
    "application/octet-stream",
)
FORM_TYPE = "multipart/form-data"
_DISCARD_FACTOR = 4  # a client that is still sending sees no answer: a refused body is read on, so many limits far
_DISCARD_BYTES_PER_S = 65_536  # slower clients lose the answer rather than hold a connection
_PATIENCE_S = 2  # before a body must keep up its pace


class _InMemory(MultiPartParser):
    spool_max_size = 1 << 40  # the body is in memory already, within its limit: nothing goes to a temporary file


async def read_upload(request: Request, limits: Limits, budget: ByteBudget, most: int = 1) -> list[bytes]:
    """The bytes of the images, at least one.

    Args:
        request: its body is the image itself, or a form with images in fields called `image`.
        limits: bytes, seconds and pace of the body.
        budget: of all bodies; what the body takes of it is returned at the end.
        most: images of a form.

    Raises:
        RefusalError: 415 for another content type, 413 for too many bytes, 408 for a body that comes too slowly, 400
            for a form without the field, 429 when the budget is used up.
    """
    content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if content_type not in (*RAW_TYPES, FORM_TYPE):
        raise RefusalError(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            "wrong_content_type",
            f"Content-Type {FORM_TYPE}, or one of {', '.join(RAW_TYPES)}",
            content_type[:80] or "none",
            f"send the bytes with their type, or a form with the field '{FIELD}'",
        )
    body = await read_body(request, limits, budget)
    return await _form_fields(request, body, most) if content_type == FORM_TYPE else [body]


async def read_body(request: Request, limits: Limits, budget: ByteBudget) -> bytes:
    """The whole body; arguments and errors as `read_upload`."""
    body = bytearray()
    try:
        await _read_body(request, limits, budget, body)
        return bytes(body)
    finally:
        budget.give_back(len(body))


async def _read_body(request: Request, limits: Limits, budget: ByteBudget, body: bytearray) -> None:
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and (len(announced) > 18 or int(announced) > limits.max_bytes):
        raise _too_many_bytes(announced[:19] if len(announced) > 18 else f"{int(announced):,}", limits)
    begun = asyncio.get_running_loop().time()
    try:
        async with asyncio.timeout(min(limits.upload_s, _PATIENCE_S)) as deadline:
            async for chunk in request.stream():
                if len(body) + len(chunk) > limits.max_bytes:
                    raise _too_many_bytes("more", limits)
                budget.add(len(chunk))
                body += chunk
                in_step_s = _PATIENCE_S + len(body) / limits.min_bytes_per_s
                deadline.reschedule(begun + min(limits.upload_s, in_step_s))
    except TimeoutError:
        raise RefusalError(
            HTTPStatus.REQUEST_TIMEOUT,
            "slow_upload",
            f"the whole body within {limits.upload_s:g} s, and {limits.min_bytes_per_s:,} bytes in each second",
            f"{len(body):,} bytes in {asyncio.get_running_loop().time() - begun:.1f} s",
            "send it again over a faster line, or scale the image down",
            {"Connection": "close"},
        ) from None
    except ClientDisconnect:
        raise disconnected() from None


def disconnected() -> RefusalError:
    """The client has closed the connection; the answer is not read, but it is counted."""
    return RefusalError(
        HTTPStatus.BAD_REQUEST, "disconnected", "a client that waits", "one that went away", "send it again"
    )


def _too_many_bytes(got: str, limits: Limits) -> RefusalError:
    expected = f"a body of at most {limits.max_bytes:,} bytes"
    do = "scale the image down, or save it as JPEG"
    return RefusalError(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "too_many_bytes", expected, got, do, {"Connection": "close"}
    )


async def discard(request: Request, limits: Limits) -> None:
    """Reads what is left of a refused body and keeps nothing of it, within bounds of bytes and seconds."""
    if "expect" in request.headers:
        return  # the client waits for an answer before it sends
    read, begun = 0, asyncio.get_running_loop().time()
    try:
        async with asyncio.timeout(min(limits.upload_s, _PATIENCE_S)) as deadline:
            async for chunk in request.stream():
                read += len(chunk)
                if read > _DISCARD_FACTOR * limits.max_bytes:
                    return
                in_step_s = _PATIENCE_S + read / _DISCARD_BYTES_PER_S
                deadline.reschedule(begun + min(limits.upload_s, in_step_s))
    except (TimeoutError, ClientDisconnect, RuntimeError):  # RuntimeError: it was read to its end
        return


async def _form_fields(request: Request, body: bytes, most: int) -> list[bytes]:
    async def stream() -> AsyncGenerator[bytes, None]:
        yield body

    try:
        form = await _InMemory(request.headers, stream(), max_files=most, max_fields=16).parse()
    except (MultiPartException, ValueError) as cause:
        raise RefusalError(
            HTTPStatus.BAD_REQUEST,
            "broken_form",
            f"{FORM_TYPE} with {'one file' if most == 1 else f'at most {most} files'}",
            f"a broken form: {cause}",
            "send it again",
        ) from None
    try:
        if files := [field for field in form.getlist(FIELD) if isinstance(field, UploadFile)]:
            return [await file.read() for file in files]
        names = ", ".join(sorted({name[:40] for name in form})) or "none"
    finally:
        await form.close()
    raise RefusalError(
        HTTPStatus.BAD_REQUEST,
        "missing_field",
        f"a file in the field '{FIELD}'",
        f"fields: {names}",
        f"name it so, as in curl -F {FIELD}=@street.jpg",
    )
