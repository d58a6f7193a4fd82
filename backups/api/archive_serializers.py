"""The JSON shapes of stored snapshots, for the API and for the commands."""

from typing import Any

from rest_framework import serializers

from backups.api.serializers import AnswerSerializer, TextsField, UtcField
from backups.archive.catalog import StoredSnapshot
from backups.archive.storing import Stored


class VerificationSerializer(AnswerSerializer):
    """What was found when a stored snapshot was read back and tried."""

    at = UtcField()
    outcome = serializers.ChoiceField(choices=["restorable", "refused", "damaged", "unreadable"])
    sentence = serializers.CharField()
    reason = serializers.CharField()
    seconds = serializers.FloatField()
    tables = serializers.IntegerField()
    rows = serializers.IntegerField()
    migrations = serializers.IntegerField()
    warnings = TextsField()


class HoldSerializer(AnswerSerializer):
    """Why a stored snapshot must not be deleted."""

    at = UtcField()
    by = serializers.CharField()
    reason = serializers.CharField()


class MediaSerializer(AnswerSerializer):
    """The media files that belong to a snapshot. Sizes are in bytes."""

    files = serializers.IntegerField()
    size = serializers.IntegerField()
    new = serializers.IntegerField()
    new_size = serializers.IntegerField()


class StoredSnapshotSerializer(AnswerSerializer):
    """A stored snapshot. Sizes are in bytes; what only its manifest knows is null without one."""

    id = serializers.CharField()
    name = serializers.CharField()
    taken_at = UtcField()
    size = serializers.IntegerField()
    sha256 = serializers.CharField(source="manifest.sha256", default=None)
    database_size = serializers.IntegerField(source="manifest.database_size", default=None)
    database_sha256 = serializers.CharField(source="manifest.database_sha256", default=None)
    method = serializers.CharField(source="manifest.method", default=None)
    by = serializers.CharField(source="manifest.by", default=None)
    schedule = serializers.CharField(source="manifest.schedule", default=None)
    label = serializers.CharField(source="manifest.label", default=None)  # type: ignore[assignment]
    seconds = serializers.FloatField(source="manifest.seconds", default=None)
    encrypted = serializers.BooleanField(source="is_encrypted")
    problem = serializers.SerializerMethodField()
    verification = VerificationSerializer(default=None)
    hold = HoldSerializer(default=None)
    media = MediaSerializer(source="manifest.media", default=None)

    def get_problem(self, stored: StoredSnapshot) -> str:
        """What a look at the listing shows; empty if nothing."""
        return stored.problem


class StoredSnapshotDetailSerializer(StoredSnapshotSerializer):
    """A stored snapshot, with all that its manifest says."""

    site = serializers.CharField(source="manifest.site", default=None)
    release = serializers.CharField(source="manifest.release", default=None)
    software = serializers.DictField(source="manifest.software", default=None)
    migrations = TextsField(source="manifest.migrations", default=None)
    rows = serializers.DictField(source="manifest.rows", default=None)


class StoredSnapshotsSerializer(AnswerSerializer):
    """
    All stored snapshots, the newest first, and where they are. Of what is missing, there are only
    the manifests.
    """

    where = serializers.CharField()
    backups: Any = StoredSnapshotSerializer(many=True)
    missing = TextsField()


def new_snapshot(stored: Stored) -> dict[str, Any]:
    """What ``NewSnapshotSerializer`` takes."""
    words = "nothing has changed since this one" if not stored.is_new else "stored"
    status = "stored" if stored.is_new else "unchanged"
    return {"status": status, "message": words, "backup": stored.snapshot}


class NewSnapshotSerializer(AnswerSerializer):
    """The answer to a backup."""

    status = serializers.ChoiceField(choices=["stored", "unchanged"])
    message = serializers.CharField()
    backup = StoredSnapshotDetailSerializer()
