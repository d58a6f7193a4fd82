"""What SQLite holds and PostgreSQL does not: a NUL in a text, and a text longer than its column."""

from collections.abc import Iterable, Iterator
from typing import Any, TypeVar

from django.db.models import JSONField, Model

from taskdog.imports.cells import Changes

AnyModel = TypeVar("AnyModel", bound=Model)

NUL, STAND_IN = "\0", "\ufffd"


def fitting(found: Iterable[AnyModel], changes: Changes) -> Iterator[AnyModel]:
    """The same rows, each changed to the nearest that PostgreSQL can hold; what was is told."""
    for row in found:
        for field in row._meta.concrete_fields:
            value = getattr(row, field.attname)
            fit = _without_nul(value)
            if fit != value:
                _tell(row, field.attname, "has a NUL, which is \ufffd now", changes)
            if isinstance(fit, str) and not isinstance(field, JSONField):
                most = field.max_length
                if most is not None and len(fit) > most:
                    fit = fit[:most]
                    _tell(row, field.attname, f"is cut to {most} characters", changes)
            setattr(row, field.attname, fit)
        yield row


def _tell(row: Model, name: str, what: str, changes: Changes) -> None:
    changes.append(f"{row._meta.db_table} {row.pk}: its {name} {what}")


def _without_nul(value: Any) -> Any:
    if isinstance(value, str):
        return value.replace(NUL, STAND_IN)
    if isinstance(value, list):
        return [_without_nul(each) for each in value]
    if isinstance(value, dict):
        return {_without_nul(key): _without_nul(each) for key, each in value.items()}
    return value
