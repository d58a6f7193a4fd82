"""
Serializer fields as strict as the wire contract, and no wider than the store.

What they say is what the command line shows: the words are those of its own server.
"""

import datetime
import math
from typing import Any, ClassVar

from django.db import models
from rest_framework import serializers

MAX_INTEGER = 2**63 - 1  # the largest that SQLite stores


class TextField(serializers.CharField):
    """Text as given, space included; a number is not text."""

    default_error_messages: ClassVar[dict[str, Any]] = {
        "blank": "String should have at least 1 character",
        "max_length": "String should have at most {max_length} characters",
    }

    def __init__(self, **options: Any) -> None:
        options.setdefault("trim_whitespace", False)
        super().__init__(**options)

    def to_internal_value(self, data: Any) -> str:
        """Accept a string only."""
        if not isinstance(data, str):
            self.fail("invalid")
        return super().to_internal_value(data)


class WholeNumberField(serializers.IntegerField):
    """A whole number that fits the store."""

    def __init__(self, **options: Any) -> None:
        options.setdefault("max_value", MAX_INTEGER)
        options.setdefault("min_value", -MAX_INTEGER)
        super().__init__(**options)


class CountField(WholeNumberField):
    """A whole number above zero."""

    default_error_messages: ClassVar[dict[str, Any]] = {
        "min_value": "Input should be greater than 0"
    }

    def __init__(self, **options: Any) -> None:
        super().__init__(min_value=1, **options)


class HoursField(serializers.FloatField):
    """A length of time in hours: a finite number above zero."""

    default_error_messages: ClassVar[dict[str, Any]] = {
        "not_positive": "Input should be greater than 0"
    }

    def to_internal_value(self, data: Any) -> float:
        """Accept what a database and JSON can hold: no NaN, no infinity."""
        hours = super().to_internal_value(data)
        if not math.isfinite(hours):
            self.fail("invalid")
        if hours <= 0:
            self.fail("not_positive")
        return hours


class LocalDateTimeField(serializers.DateTimeField):
    """A local time. One with an offset is refused: converting it would be a guess."""

    default_error_messages: ClassVar[dict[str, Any]] = {
        "offset": "The time must be local, without an offset or Z."
    }

    def enforce_timezone(self, value: datetime.datetime) -> datetime.datetime:
        """Check that the time has no offset, where DRF would convert it."""
        if value.tzinfo is not None:
            self.fail("offset")
        return value


# For serializers of models: their times are local ones, also in the description of the API.
MODEL_FIELDS = {
    **serializers.ModelSerializer.serializer_field_mapping,
    models.DateTimeField: LocalDateTimeField,
}
