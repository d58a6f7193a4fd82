"""
The tables that hold login sessions, if they are in a database.

The cookie has the session's key: a person who can read these tables can act as any user who is
logged in.
"""

import logging
from collections.abc import Iterable
from importlib import import_module
from typing import Any

from django.apps import apps
from django.conf import settings
from django.core.cache.backends.db import BaseDatabaseCache
from django.core.exceptions import ImproperlyConfigured
from django.db import router
from django.db.models import CASCADE, Model

FIELDS = {"session_key", "session_data", "expire_date"}  # of Django's table, and of others like it

logger = logging.getLogger(__name__)


def session_tables() -> tuple[str, ...]:
    """
    The tables with login sessions: those of the SESSION_ENGINE, its cache if that is a table, and
    those of each installed model of sessions, which an earlier engine may have filled.

    Tables whose rows refer to a session, and would be deleted with it, come first: without its
    session, such a row would be a broken reference. Reads no database.
    """
    store = _store()
    models = dict.fromkeys([*_models_of(store), *filter(_is_of_sessions, apps.get_models())])
    caches = (cache._table for cache in _cache_of(store))
    return tuple(dict.fromkeys([*_tables_of(models), *caches]))


def databases_with_sessions() -> dict[str, str]:
    """The aliases of the databases with login sessions, each with its table. Reads no database."""
    store = _store()
    found = {router.db_for_write(model): model._meta.db_table for model in _models_of(store)}
    for cache in _cache_of(store):
        found.setdefault(router.db_for_write(cache.cache_model_class), str(cache._table))
    return found


def _store() -> Any:
    """The class of the SESSION_ENGINE; None if it can't be used: then nobody is logged in."""
    try:
        return import_module(settings.SESSION_ENGINE).SessionStore
    except (ImportError, AttributeError, ValueError) as error:
        logger.warning("SESSION_ENGINE is %r, which fails: %s", settings.SESSION_ENGINE, error)
        return None


def _models_of(store: Any) -> list[type[Model]]:
    """
    The models that an engine keeps sessions in, if their apps are installed: the one that it names,
    as Django's engines do, and those in its module or the modules of its base classes, as
    django-user-sessions has.
    """
    if store is None:
        return []
    modules = [import_module(each.__module__) for each in store.__mro__]
    found = [each for module in modules for each in vars(module).values() if _is_model(each)]
    try:
        if hasattr(store, "get_model_class"):
            found.insert(0, store.get_model_class())
    except RuntimeError:  # its app is not in INSTALLED_APPS
        pass
    return [each for each in dict.fromkeys(found) if not each._meta.abstract]


def _is_model(each: object) -> bool:
    return isinstance(each, type) and issubclass(each, Model) and _is_of_sessions(each)


def _is_of_sessions(model: type[Model]) -> bool:
    return {field.name for field in model._meta.get_fields()} >= FIELDS


def _cache_of(store: Any) -> list[Any]:
    """The cache of the engines ``cache`` and ``cached_db``, if it is a table."""
    try:
        cache = getattr(store and store(), "_cache", None)
    except ImproperlyConfigured:  # SESSION_CACHE_ALIAS is not in CACHES
        return []
    return [cache] if issubclass(type(cache), BaseDatabaseCache) else []


def _tables_of(models: Iterable[type[Model]]) -> tuple[str, ...]:
    found = list(models)
    for each in found:  # it grows as we go
        found += [
            relation.related_model
            for relation in each._meta.related_objects
            if relation.on_delete is CASCADE
            and not relation.field.null
            and relation.related_model not in found
        ]
    return tuple(dict.fromkeys(each._meta.db_table for each in reversed(found)))
