"""What a request's `Accept…` headers like best (RFC 9110, 12.5). A leaf module."""

from functools import lru_cache

from aiohttp import web

# The same browsers and programs come again and again.
REMEMBERED_HEADERS = 256
# A longer one is nobody's list of what they like.
HEADER_MAX_CHARACTERS = 500
JSON = "application/json"
HTML = "text/html"


def read_header(request: web.Request, name: str) -> str:
    """Return what such a header of a request says, empty where there is none."""
    return request.headers.get(name, "")[:HEADER_MAX_CHARACTERS]


def read_weights(header: str) -> dict[str, float]:
    """Return the weight of each thing that such a header names, 0-1."""
    weights: dict[str, float] = {}
    for item in header.lower().split(","):
        name, *parameters = (part.strip() for part in item.split(";"))
        weights[name] = _weight(parameters)
    return weights


def _weight(parameters: list[str]) -> float:
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            try:
                return min(max(float(value), 0.0), 1.0)
            except ValueError:
                return 0.0
    return 1.0


@lru_cache(REMEMBERED_HEADERS)
def prefers_json(accept: str) -> bool:
    """Tell whether an `Accept` header wants JSON more than a page.

    It has to name JSON: whoever takes anything gets the page, as a browser does.
    """
    weights = read_weights(accept)
    json = weights.get(JSON, 0.0)
    if HTML in weights:
        return json > weights[HTML]
    return json > 0 and json >= weights.get("text/*", weights.get("*/*", 0.0))
