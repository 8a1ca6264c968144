"""The header `Accept`: which of the offered types a client prefers.

Source:
    RFC 9110, section 12.5.1: the most specific range that matches a type gives its weight; weight 0 refuses it.
"""

import re

_WEIGHT = re.compile(r"^q=([01](?:\.[0-9]{0,3})?)$", re.IGNORECASE)


def preferred(accept: str, offered: tuple[str, ...]) -> str | None:
    """The offered type with the highest weight.

    Args:
        accept: value of the header; empty accepts everything.
        offered: media types, in the order in which the service prefers them.

    Returns:
        One of `offered`, or None where the client accepts none of them.

    Example:
        >>> preferred("text/html, image/*;q=0.8, */*;q=0.1", ("application/json", "image/png"))
        'image/png'
    """
    ranges = _ranges(accept or "*/*")
    weights = {media_type: _weight(media_type, ranges) for media_type in offered}
    best = max(offered, key=weights.__getitem__)  # the first of equals
    return best if weights[best] > 0 else None


def _ranges(accept: str) -> dict[str, float]:
    """Weight of each range; one whose weight cannot be read counts as 1."""
    found: dict[str, float] = {}
    for entry in accept.split(","):
        media_range, *parameters = (part.strip() for part in entry.lower().split(";"))
        weights = [float(match[1]) for part in parameters if (match := _WEIGHT.match(part.replace(" ", "")))]
        if media_range:
            found[media_range] = min(weights[0], 1.0) if weights else 1.0
    return found


def _weight(media_type: str, ranges: dict[str, float]) -> float:
    kind = media_type.partition("/")[0]
    for media_range in (media_type, f"{kind}/*", "*/*"):
        if media_range in ranges:
            return ranges[media_range]
    return 0.0
