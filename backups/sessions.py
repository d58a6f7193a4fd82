"""In which tables the login sessions of this site are, if they are in a database."""

from importlib import import_module
from typing import Any

from django.conf import settings
from django.core.cache.backends.db import BaseDatabaseCache
from django.db.models import CASCADE, Model


def session_tables() -> tuple[str, ...]:
    """
    The tables of the SESSION_ENGINE: its model's, and that of its cache if that is a table.

    What refers to a session and would be deleted with it comes first: without its session
    such a row would be a broken reference. Reads no database.
    """
    store: Any = import_module(settings.SESSION_ENGINE).SessionStore
    return (*_tables_of(_model(store)), *_cache_table(store()))


def _cache_table(session: Any) -> tuple[str, ...]:
    """Of the engines ``cache`` and ``cached_db``, if their cache is a table."""
    cache: Any = getattr(session, "_cache", None)
    return (str(cache._table),) if issubclass(type(cache), BaseDatabaseCache) else ()


def _tables_of(model: type[Model] | None) -> tuple[str, ...]:
    if model is None:
        return ()
    models = [model]
    for each in models:  # it grows as we go
        models += [
            relation.related_model
            for relation in each._meta.related_objects
            if relation.on_delete is CASCADE
            and not relation.field.null
            and relation.related_model not in models
        ]
    return tuple(each._meta.db_table for each in reversed(models))


def _model(store: Any) -> type[Model] | None:
    """The model of the login sessions, if they have one and its app is installed."""
    if not hasattr(store, "get_model_class"):
        return None
    try:
        model: type[Model] = store.get_model_class()
    except RuntimeError:  # its app is not in INSTALLED_APPS
        return None
    return model
