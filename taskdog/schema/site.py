"""The endpoints that are plain views, in the description: they are open to everybody."""

from typing import Any


def add_plain_views(result: dict[str, Any], **_: Any) -> dict[str, Any]:
    """Add them to the paths. A hook of drf-spectacular."""
    result["paths"]["/"] = _open_get("root", "Says which server this is.", "message", "version")
    result["paths"]["/health"] = _open_get("health", "Says that the server is up.", "status")
    return result


def _open_get(name: str, summary: str, *keys: str) -> dict[str, Any]:
    answer = {
        "type": "object",
        "properties": {key: {"type": "string"} for key in keys},
        "required": list(keys),
    }
    response = {"description": "", "content": {"application/json": {"schema": answer}}}
    operation = {
        "operationId": name,
        "summary": summary,
        "description": summary,
        "tags": ["site"],
        "security": [{}],
        "responses": {"200": response},
    }
    return {"get": operation}
