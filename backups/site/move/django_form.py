"""The values of a field that has other types in the two databases: by the field itself."""

from typing import TYPE_CHECKING, Any

from django.core.exceptions import ValidationError
from django.db.models.expressions import Col
from psycopg import DataError, Error, ProgrammingError
from psycopg.adapt import PyFormat, Transformer
from psycopg.pq import Format

from backups.site.move.forms import NULL, Form, Unfit, escape, kind_of, text_of, unescape
from backups.site.move.target import TargetColumn

if TYPE_CHECKING:
    from django.db.backends.base.base import BaseDatabaseWrapper


class DjangoForm(Form):
    """
    A value is read as from SQLite and saved as to PostgreSQL. What comes back is read as from
    PostgreSQL and saved again: that must give the same words.
    """

    proves = True

    def __init__(
        self,
        field: Any,
        sqlite: "BaseDatabaseWrapper",
        postgres: "BaseDatabaseWrapper",
        column: TargetColumn,
    ) -> None:
        self._field, self._sqlite, self._postgres = field, sqlite, postgres
        self._expression = Col(field.model._meta.db_table, field)
        self._transformer = Transformer(postgres.connection)
        self._loader = self._transformer.get_loader(column.type_oid, Format.TEXT)

    def write(self, value: Any) -> str:
        try:
            return self._saved(self._loaded(value, self._sqlite))
        except Unfit:
            raise
        except (ArithmeticError, Error, LookupError, TypeError, ValidationError, ValueError) as why:
            raise Unfit(f"is {kind_of(value)}, which its field can't read: {why}") from None

    def read(self, cell: str) -> str:
        value = self._loader.load(unescape(cell).encode())
        try:
            return self._saved(self._loaded(value, self._postgres))
        except (DataError, ProgrammingError, TypeError, ValueError):
            return cell  # it differs from what was sent

    def _loaded(self, value: Any, connection: "BaseDatabaseWrapper") -> Any:
        """As Django reads it: first the database's converters, then the field's."""
        converters = [
            *connection.ops.get_db_converters(self._expression),
            *self._field.get_db_converters(connection),
        ]
        for convert in converters:
            value = convert(value, self._expression, connection)
        return value

    def _saved(self, value: Any) -> str:
        saved = self._field.get_db_prep_save(value, self._postgres)
        if saved is None:
            return NULL
        (data,) = self._transformer.dump_sequence([saved], [PyFormat.TEXT])
        assert data is not None
        return escape(text_of(bytes(data).decode()))
