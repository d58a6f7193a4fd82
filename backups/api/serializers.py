"""
The JSON shapes of the API's answers.

Views answer with them, commands print from them, and a project can generate its OpenAPI description
from them. Times are UTC, whatever time zone and format the project uses.

The context of a serializer may have ``database``, an alias in DATABASES instead of
BACKUPS_DATABASE, and ``warnings``, those of staging, for a restore that was applied.
"""

from collections.abc import Mapping
from datetime import UTC
from typing import Any

from rest_framework import ISO_8601, serializers

from backups import services
from backups.conf import conf
from backups.store import PendingRestore, Receipt, RestoreStatus

RESTART_REQUIRED = "restart required"


class RestoreUploadSerializer(serializers.Serializer[Any]):
    """The upload form of the browsable API."""

    file = serializers.FileField(help_text="A snapshot that came from this site's backup.")


class UndoSerializer(serializers.Serializer[Any]):
    """The form of the browsable API: only a button."""


class AnswerSerializer(serializers.Serializer[Any]):
    """A shape that is only written, never read."""

    @property
    def data(self) -> dict[str, Any]:  # type: ignore[override]
        """A plain dict: of DRF's own, the browsable API would make a form."""
        answer: dict[str, Any] = self.to_representation(self.instance)
        return answer


class UtcField(serializers.DateTimeField):
    """``2026-11-23T02:45:38Z``."""

    def __init__(self, **options: Any) -> None:
        super().__init__(format=ISO_8601, default_timezone=UTC, **options)


class TextsField(serializers.ListField):
    """A list of texts."""

    child = serializers.CharField()


# A restore


class ReceiptSerializer(AnswerSerializer):
    """One thing that happened to a restore."""

    id = serializers.CharField()
    at = UtcField()
    outcome = serializers.ChoiceField(["staged", "discarded", "applied", "refused", "blocked"])
    reason = serializers.CharField(help_text="What was wrong, in a sentence; else empty.")
    size = serializers.IntegerField(allow_null=True, help_text="Bytes, as uploaded.")
    sha256 = serializers.CharField(
        allow_null=True, help_text="Of the upload; empty if there was none."
    )
    staged_at = UtcField(allow_null=True)
    staged_by = serializers.CharField(allow_null=True, help_text="A key or a user.")
    migrations = TextsField(help_text="Those that ran on the snapshot.")
    kept = serializers.CharField(allow_null=True, help_text="The replaced or the refused file.")
    seconds = serializers.FloatField(help_text="How long it took.")
    by = serializers.CharField(allow_null=True, help_text="A key or a user; null: at a start.")
    undoes = serializers.CharField(allow_null=True, help_text="The kept copy that was put back.")
    removed = TextsField(help_text="Older kept copies, removed for this one.")


class PendingRestoreSerializer(AnswerSerializer):
    """A restore that waits for the next start."""

    status = serializers.ChoiceField(["pending"])
    message = serializers.CharField()
    size = serializers.IntegerField(help_text="Bytes, as uploaded.")
    sha256 = serializers.CharField(help_text="Of the upload; empty if there was none.")
    staged_at = UtcField()
    staged_by = serializers.CharField(help_text="A key or a user.")
    migrations = TextsField(help_text="Those that the next start will run on the snapshot.")
    warnings = TextsField(help_text="Sentences for the person who staged it.")
    undoes = serializers.CharField(allow_null=True, help_text="The kept copy to be put back.")
    next_start = serializers.CharField(help_text="What the next start will do, in a sentence.")

    def to_representation(self, instance: PendingRestore) -> Any:
        return super().to_representation(_pending(instance, self.context))


class RestoreStatusSerializer(AnswerSerializer):
    """What is pending, if anything, and what the last restore did."""

    status = serializers.ChoiceField(["pending", "nothing"])
    message = serializers.CharField()
    waiting_for = TextsField(required=False, help_text="What must end before a start applies it.")
    last = ReceiptSerializer(allow_null=True)
    in_use_by = TextsField(help_text="The processes that have the database open.")
    max_upload_bytes = serializers.IntegerField(help_text="A larger upload is refused.")

    def get_fields(self) -> dict[str, Any]:
        """Also the fields of a pending restore, unless nothing is pending."""
        if self.instance is not None and self.instance.pending is None:
            return super().get_fields()
        pending: dict[str, Any] = PendingRestoreSerializer().get_fields()
        for field in pending.values():
            field.required = False
        return pending | super().get_fields()

    def to_representation(self, instance: RestoreStatus) -> Any:
        """Lists all processes that a start would wait for: a restart ends the server's own."""
        now: dict[str, Any] = {"status": "nothing", "message": "no restore is pending"}
        if instance.pending is not None:
            waiting = f"; waiting for {', '.join(instance.present)}" if instance.present else ""
            now = _pending(instance.pending, self.context)
            now |= {"message": RESTART_REQUIRED + waiting, "waiting_for": instance.present}
        now |= {"last": instance.last, "in_use_by": instance.present}
        return super().to_representation(now | {"max_upload_bytes": conf.max_upload_bytes})


class _AppliedSerializer(AnswerSerializer):
    """The fields before its receipt's."""

    status = serializers.ChoiceField(["applied"])
    message = serializers.CharField()


class AppliedRestoreSerializer(_AppliedSerializer, ReceiptSerializer):
    """A restore that was applied without a restart."""

    warnings = TextsField(help_text="Sentences for the person who staged it.")

    def to_representation(self, instance: Receipt) -> Any:
        applied = {"status": "applied", "message": "the snapshot is live"}
        warnings = self.context.get("warnings", ())
        return super().to_representation(vars(instance) | applied | {"warnings": warnings})


class DiscardedRestoreSerializer(AnswerSerializer):
    """What was pending until now."""

    status = serializers.ChoiceField(["discarded"])
    message = serializers.CharField()
    size = serializers.IntegerField(allow_null=True, help_text="Bytes, as uploaded.")
    sha256 = serializers.CharField(
        allow_null=True, help_text="Of the upload; empty if there was none."
    )
    staged_at = UtcField(allow_null=True)
    staged_by = serializers.CharField(allow_null=True, help_text="A key or a user.")

    def to_representation(self, instance: PendingRestore | None) -> Any:
        discarded = {"status": "discarded", "message": "the pending restore was discarded"}
        known = vars(instance) if instance else {}  # its description can be lost
        return super().to_representation(known | discarded)


def _pending(pending: PendingRestore, context: Mapping[str, Any]) -> dict[str, Any]:
    next_start = services.describe_next_start(pending, database=context.get("database"))
    said = {"status": "pending", "message": RESTART_REQUIRED, "next_start": next_start}
    return vars(pending) | said


# What happened before


class KeptCopySerializer(AnswerSerializer):
    """What was live before a restore."""

    name = serializers.CharField()
    size = serializers.IntegerField(help_text="Bytes.")
    kept_at = UtcField()
    is_database = serializers.BooleanField(help_text="False: a folder of files, as they were.")
    stays_until = UtcField(allow_null=True, help_text="When a restore may remove it; null: never.")


class DownloadSerializer(AnswerSerializer):
    """A snapshot that somebody has taken, or a part of it."""

    id = serializers.CharField()
    at = UtcField(help_text="When it began.")
    outcome = serializers.ChoiceField(["begun", "whole", "broken off"])
    by = serializers.CharField(allow_null=True, help_text="A key or a user.")
    address = serializers.CharField(allow_null=True, help_text="Of its request; null: a command.")
    method = serializers.ChoiceField(["compact", "pages", "dump", "stored"])
    size = serializers.IntegerField(help_text="Bytes, of the whole snapshot or stored file.")
    first = serializers.IntegerField(help_text="The byte that it began with.")
    sent = serializers.IntegerField(allow_null=True, help_text="Bytes that were handed out.")
    sha256 = serializers.CharField(allow_null=True, help_text="Of the whole, where it is known.")
    seconds = serializers.FloatField(allow_null=True, help_text="How long it took.")


class RestoresSerializer(AnswerSerializer):
    """What happened to restores, the kept copies, and who has taken snapshots."""

    restores = ReceiptSerializer(many=True)
    kept = KeptCopySerializer(many=True)
    downloads = DownloadSerializer(many=True)


# An error


class BackupErrorSerializer(AnswerSerializer):
    """What happened to which file, and what to do next."""

    detail = serializers.CharField(source="*")  # the message is the error as text
    # An error of Django REST framework itself, such as 403, has only that.

    code = serializers.CharField(required=False, help_text="For programs.")
    hint = serializers.CharField(required=False, help_text="What to do next.")
    needed_bytes = serializers.IntegerField(required=False, help_text="If the disk is too full.")
    free_bytes = serializers.IntegerField(required=False)
