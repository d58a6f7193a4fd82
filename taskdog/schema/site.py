"""The endpoints that are plain views, in the description: they are open to everybody."""

from typing import Any


def add_plain_views(result: dict[str, Any], **_: Any) -> dict[str, Any]:
    """Add them to the paths. A hook of drf-spectacular."""
    result["paths"]["/"] = _open_get("root", "Says which server this is.", "message", "version")
    result["paths"]["/health"] = _open_get("health", "Says that the server is up.", "status")
    result["paths"]["/health/backups"] = _backup_health()
    return result


def _backup_health() -> dict[str, Any]:
    described = _open_get("backup_health", "Says how the backups are doing.", "status", "reason")
    answers = described["get"]["responses"]
    schema = answers["200"]["content"]["application/json"]["schema"]
    schema["properties"] |= {
        **{key: _nullable("string") for key in ("last_success", "last_verified", "next_due")},
        **{key: _nullable("integer") for key in ("verified_age", "stored_age", "max_age")},
        **{key: {"type": "integer"} for key in ("failures", "missed", "problems")},
    }
    answers["503"] = {**answers["200"], "description": "Somebody must look."}
    return described


def _nullable(kind: str) -> dict[str, Any]:
    return {"type": [kind, "null"]}


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
