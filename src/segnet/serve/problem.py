"""The body of every answer of 4xx and 5xx: a problem document.

Source:
    RFC 9457, Problem Details for HTTP APIs: `type`, `title`, `status`, `detail`, and members of our own.
"""

from http import HTTPStatus

from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field

from segnet.serve.refusal import RefusalError

MEDIA_TYPE = "application/problem+json"
TYPE_PREFIX = "urn:segnet:error:"


class Problem(BaseModel):
    """Why a request was refused."""

    type: str = Field(description="the kind, for programs", examples=[f"{TYPE_PREFIX}not_an_image"])
    title: str = Field(description="the kind, for people", examples=["Not an image"])
    status: int = Field(ge=400, le=599, description="the HTTP status", examples=[400])
    detail: str = Field(
        description="one sentence that holds the following three",
        examples=["expected a PNG or JPEG image, got 1 byte that begins with 78; send the image's own bytes"],
    )
    expected: str = Field(examples=["a PNG or JPEG image"])
    got: str = Field(examples=["1 byte that begins with 78"])
    do: str = Field(description="what to do", examples=["send the image's own bytes"])
    request_id: str | None = Field(None, description="the header X-Request-ID, which the access log has as well")


def problem_of(refusal: RefusalError, request_id: str | None = None) -> Problem:
    """The document of a refusal."""
    return Problem(
        type=TYPE_PREFIX + refusal.error,
        title=refusal.error.replace("_", " ").capitalize(),
        status=refusal.status,
        detail=f"expected {refusal.expected}, got {refusal.got}; {refusal.do}",
        expected=refusal.expected,
        got=refusal.got,
        do=refusal.do,
        request_id=request_id,
    )


def problem_response(refusal: RefusalError, request_id: str | None = None) -> JSONResponse:
    """The whole answer of a refusal, headers included."""
    body = problem_of(refusal, request_id).model_dump(exclude_none=True)
    return JSONResponse(body, HTTPStatus(refusal.status), refusal.headers, MEDIA_TYPE)
