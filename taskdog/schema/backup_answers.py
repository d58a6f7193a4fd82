"""What the endpoints of ``backups`` answer, for the description. Times are UTC."""

from typing import Any

from rest_framework import serializers

from taskdog.schema.errors import ErrorSerializer


class BackupErrorSerializer(ErrorSerializer):
    """What happened to which file, and what to do next."""

    code = serializers.CharField(required=False, help_text="For programs.")
    hint = serializers.CharField(required=False)
    needed_bytes = serializers.IntegerField(required=False, allow_null=True)
    free_bytes = serializers.IntegerField(required=False, allow_null=True)


class StagedSerializer(serializers.Serializer[Any]):
    """A snapshot that was staged."""

    size = serializers.IntegerField(allow_null=True, help_text="Bytes, as uploaded.")
    sha256 = serializers.CharField(allow_null=True, help_text="Of the upload.")
    staged_at = serializers.DateTimeField(allow_null=True)
    staged_by = serializers.CharField(allow_null=True)


class PendingRestoreSerializer(StagedSerializer):
    """A restore that waits for the next start."""

    status = serializers.ChoiceField(["pending"])
    message = serializers.CharField()
    migrations = serializers.ListField(child=serializers.CharField())
    warnings = serializers.ListField(child=serializers.CharField())
    undoes = serializers.CharField(allow_null=True)
    next_start = serializers.CharField()


class ReceiptSerializer(StagedSerializer):
    """One thing that happened to a restore."""

    id = serializers.CharField()
    at = serializers.DateTimeField()
    outcome = serializers.ChoiceField(["staged", "discarded", "applied", "refused", "blocked"])
    reason = serializers.CharField(allow_blank=True)
    migrations = serializers.ListField(child=serializers.CharField())
    kept = serializers.CharField(allow_null=True)
    seconds = serializers.FloatField()
    by = serializers.CharField(allow_null=True)
    undoes = serializers.CharField(allow_null=True)
    removed = serializers.ListField(
        child=serializers.CharField(), help_text="Older kept copies, removed for this one."
    )


class AppliedRestoreSerializer(ReceiptSerializer):
    """A restore that was applied without a restart."""

    status = serializers.ChoiceField(["applied"])
    message = serializers.CharField()
    warnings = serializers.ListField(child=serializers.CharField())


class RestoreStatusSerializer(serializers.Serializer[Any]):
    """What is pending, if anything, and what the last restore did."""

    status = serializers.ChoiceField(["pending", "nothing"])
    message = serializers.CharField()
    size = serializers.IntegerField(required=False)
    sha256 = serializers.CharField(required=False)
    staged_at = serializers.DateTimeField(required=False)
    staged_by = serializers.CharField(required=False)
    migrations = serializers.ListField(child=serializers.CharField(), required=False)
    warnings = serializers.ListField(child=serializers.CharField(), required=False)
    undoes = serializers.CharField(required=False, allow_null=True)
    next_start = serializers.CharField(required=False)
    waiting_for = serializers.ListField(child=serializers.CharField(), required=False)
    last = ReceiptSerializer(allow_null=True)
    in_use_by = serializers.ListField(child=serializers.CharField())
    max_upload_bytes = serializers.IntegerField()


class DiscardedRestoreSerializer(StagedSerializer):
    """What was pending until now."""

    status = serializers.ChoiceField(["discarded"])
    message = serializers.CharField()


class KeptCopySerializer(serializers.Serializer[Any]):
    """What was live before a restore."""

    name = serializers.CharField()
    size = serializers.IntegerField(help_text="Bytes.")
    kept_at = serializers.DateTimeField()
    is_database = serializers.BooleanField()
    stays_until = serializers.DateTimeField(
        allow_null=True, help_text="No restore removes it before this time; null: none ever does."
    )


class DownloadSerializer(serializers.Serializer[Any]):
    """A snapshot that somebody has taken, or a part of it."""

    id = serializers.CharField()
    at = serializers.DateTimeField()
    outcome = serializers.ChoiceField(["begun", "whole", "broken off"])
    by = serializers.CharField(allow_null=True)
    address = serializers.CharField(allow_null=True)
    method = serializers.ChoiceField(["compact", "pages"])
    size = serializers.IntegerField(help_text="Bytes, of the whole snapshot.")
    first = serializers.IntegerField(help_text="The byte that it began with.")
    sent = serializers.IntegerField(allow_null=True, help_text="Bytes that were handed out.")
    sha256 = serializers.CharField(allow_null=True, help_text="Of the whole, where it is known.")
    seconds = serializers.FloatField(allow_null=True)


class RestoresSerializer(serializers.Serializer[Any]):
    """What happened to restores, the kept copies, and who has taken snapshots."""

    restores = ReceiptSerializer(many=True)
    kept = KeptCopySerializer(many=True)
    downloads = DownloadSerializer(many=True)
