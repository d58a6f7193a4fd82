"""
Which form a column's values take. It is decided once, by PostgreSQL's type of the column.

Where a field stores the same in both databases, or the two differ as Django's own fields do, what
SQLite has is enough. A field that has something else in each (its ``db_type`` asks which database
it is for) must read and write every value itself.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from backups.site.migrations import SnapshotLoader
from backups.site.move.django_form import DjangoForm
from backups.site.move.forms import AnyBinary, AnyText, Binary, Form, Padded, Text
from backups.site.move.number_forms import Boolean, Exact, Float, Integer, Number
from backups.site.move.other_forms import Address, Json, Uuid
from backups.site.move.schema import models_without_migrations
from backups.site.move.source import SourceTable
from backups.site.move.target import TargetColumn, match
from backups.site.move.time_forms import Date, Duration, Local, Moment, Time

if TYPE_CHECKING:
    from django.db.backends.base.base import BaseDatabaseWrapper

Fields = Mapping[tuple[str, str], Any]  # of a table and a column, as PostgreSQL calls them

# What Django asks of a field for its type; the numbers do not matter here.
ANY = {"max_length": 1, "max_digits": 1, "decimal_places": 0}
INTEGERS = {"int2": 2, "int4": 4, "int8": 8}
TEXTS = ("text", "varchar", "citext", "name")
LARGE = ("text", "varchar", "citext", "bytea", "json", "jsonb", "xml")  # no limit on their length
SIMPLE: Mapping[str, Callable[[], Form]] = {
    "bool": Boolean,
    "date": Date,
    "time": Time,
    "timestamp": Local,
    "interval": Duration,
    "uuid": Uuid,
    "inet": Address,
    "json": Json,
    "jsonb": Json,
}


@dataclass(frozen=True)
class Column:
    """A column that is moved: where from, where to, and how."""

    source: str
    target: str
    form: Form
    is_required: bool
    can_be_large: bool


class Columns:
    """Decides for every column of one database."""

    def __init__(
        self,
        loader: SnapshotLoader,
        sqlite: "BaseDatabaseWrapper",
        postgres: "BaseDatabaseWrapper",
    ) -> None:
        """:param sqlite: only for what it says of its types; it is never connected."""
        self._sqlite, self._postgres = sqlite, postgres
        self._fields = _fields(loader)
        self._usual = _usual_pairs(sqlite, postgres)

    def of(
        self, table: SourceTable, name: str, columns: Mapping[str, TargetColumn]
    ) -> list[Column]:
        """Those of one table that PostgreSQL does not compute itself."""
        found = []
        for each in table.columns:
            target = columns[str(match(each.name, columns))]
            if not target.is_generated:
                form = self._form(target, self._fields.get((name, target.name)))
                large = target.type in LARGE and not target.length
                found.append(Column(each.name, target.name, form, target.is_required, large))
        return found

    def _form(self, column: TargetColumn, field: Any) -> Form:
        if field is not None and not self._is_usual(field):
            return DjangoForm(field, self._sqlite, self._postgres, column)
        if column.type in INTEGERS:
            least = 0 if field is not None and ">= 0" in self._check(field) else None
            return Integer(INTEGERS[column.type], least)
        if column.type in ("float4", "float8"):
            return Float(int(column.type[-1]))
        if column.type == "numeric":
            return Exact(*column.digits) if column.digits else Number()
        if column.type == "timestamptz":
            return Moment(str(self._postgres.timezone_name))
        if column.type == "bytea":
            return AnyBinary() if field is None else Binary()
        if column.type == "bpchar":
            return Padded(column.length)
        if column.type in SIMPLE:
            return SIMPLE[column.type]()
        if column.type in TEXTS or field is None:
            return AnyText(column.length) if field is None else Text(column.length)
        return DjangoForm(field, self._sqlite, self._postgres, column)

    def _is_usual(self, field: Any) -> bool:
        pair = _base(field.db_type(self._sqlite)), _base(field.db_type(self._postgres))
        return pair[0] == pair[1] or pair in self._usual

    def _check(self, field: Any) -> str:
        return str(field.db_check(self._postgres) or "")


def _fields(loader: SnapshotLoader) -> Fields:
    """Of every model; where several have one table, those of the one that made it."""
    models = [
        *models_without_migrations(loader),
        *(
            model
            for model in loader.models.get_models(include_auto_created=True)
            if model._meta.app_label not in loader.unmigrated_apps
        ),
    ]
    models.sort(key=lambda model: model._meta.managed)
    return {
        (model._meta.db_table, str(field.column)): field
        for model in models
        if not model._meta.proxy
        for field in model._meta.local_concrete_fields
    }


def types_of_unmanaged(
    loader: SnapshotLoader, postgres: "BaseDatabaseWrapper"
) -> Mapping[tuple[str, str], str]:
    """What the columns of models that no migration makes a table for must be in PostgreSQL."""
    return {
        place: str(field.db_type(postgres))
        for place, field in _fields(loader).items()
        if not field.model._meta.managed
    }


def _usual_pairs(
    sqlite: "BaseDatabaseWrapper", postgres: "BaseDatabaseWrapper"
) -> set[tuple[str, str]]:
    """What Django's own fields are called in the one and in the other."""
    there = dict(postgres.data_types)
    return {(_base(type_), _base(there.get(name))) for name, type_ in sqlite.data_types.items()}


def _base(type_: Any) -> str:
    """``varchar`` of ``varchar(20)``. Some types are functions of the field's parameters."""
    words = type_(ANY) if callable(type_) else type_
    return str(words or "").lower().partition("(")[0].strip()
