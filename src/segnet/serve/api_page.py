"""GET /docs: the OpenAPI description as one HTML page, without a script and without other hosts."""

from html import escape
from typing import Any

_METHODS = ("get", "post")


def api_page(schema: dict[str, Any]) -> str:
    """The page.

    Args:
        schema: of OpenAPI 3.1.
    """
    title = escape(f"{schema['info']['title']} {schema['info']['version']}: HTTP API")
    sections = [
        _operation(path, method, operations[method])
        for path, operations in schema["paths"].items()
        for method in _METHODS
        if method in operations
    ]
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1"></head><body>'
        f'<main><h1>{title}</h1><p>For programs: <a href="openapi.json">openapi.json</a>. '
        f'<a href="./">The demo</a>.</p>{"".join(sections)}</main></body></html>'
    )


def _operation(path: str, method: str, operation: dict[str, Any]) -> str:
    parts = [f"<section><h2><code>{method.upper()} {escape(path)}</code></h2>"]
    parts.append(f"<p>{escape(operation.get('summary', ''))}</p>")
    if text := operation.get("description"):
        parts.append(f"<pre>{escape(text)}</pre>")
    if parameters := operation.get("parameters"):
        rows = "".join(_parameter(each) for each in parameters)
        parts.append(f"<table><tr><th>parameter</th><th>type</th><th>meaning</th></tr>{rows}</table>")
    if body := operation.get("requestBody"):
        parts.append(f"<p>Body: {escape(', '.join(body['content']))}. {escape(body.get('description', ''))}</p>")
    rows = "".join(
        f"<tr><td>{escape(status)}</td><td>{escape(', '.join(response.get('content', {})))}</td>"
        f"<td>{escape(response.get('description', ''))}</td></tr>"
        for status, response in sorted(operation["responses"].items())
    )
    parts.append(f"<table><tr><th>status</th><th>content</th><th>meaning</th></tr>{rows}</table></section>")
    return "".join(parts)


def _parameter(parameter: dict[str, Any]) -> str:
    name = f"<code>{escape(parameter['name'])}</code> in {escape(parameter['in'])}"
    description = escape(parameter.get("description", ""))
    return f"<tr><td>{name}</td><td>{escape(_kind(parameter.get('schema', {})))}</td><td>{description}</td></tr>"


def _kind(schema: dict[str, Any]) -> str:
    if "anyOf" in schema:
        return " or ".join(_kind(each) for each in schema["anyOf"] if each.get("type") != "null")
    if "enum" in schema:
        return " | ".join(map(str, schema["enum"]))
    if schema.get("type") == "array":
        return f"several of: {_kind(schema['items'])}"
    bounds = [f"{word} {schema[key]}" for key, word in (("minimum", "from"), ("maximum", "to")) if key in schema]
    return " ".join([str(schema.get("type", "")), *bounds])
