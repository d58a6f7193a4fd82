"""The JSON shapes of stored snapshots, for the API and for the commands."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from rest_framework import serializers

from backups.api.errors import status_of_kind
from backups.api.serializers import AnswerSerializer, TextsField, UtcField
from backups.archive.catalog import StoredSnapshot
from backups.archive.jobs import Job
from backups.archive.manifest import Verification
from backups.archive.storing import Stored
from backups.exceptions import kind_of

SOURCES = ["upload", "stored", "undo"]  # of a restore
OUTCOMES = ["restorable", "refused", "damaged", "unreadable"]  # of a verification
MOST_LETTERS = 200  # in a label or a reason
MESSAGES = {
    "running": "The work goes on. Ask for this job again.",
    "done": "The work is done.",
    "failed": "The work has failed.",
    "stopped": "The process that did the work was stopped from outside.",
}


class VerificationSerializer(AnswerSerializer):
    """What was found when a stored snapshot was verified."""

    at = UtcField()
    outcome = serializers.ChoiceField(choices=OUTCOMES)
    sentence = serializers.CharField()
    reason = serializers.CharField()
    seconds = serializers.FloatField()
    tables = serializers.IntegerField()
    rows = serializers.IntegerField()
    migrations = serializers.IntegerField()
    warnings = TextsField()
    lost_media = serializers.IntegerField()


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
    warnings = TextsField()


class StoredSnapshotSerializer(AnswerSerializer):
    """A stored snapshot. Sizes are in bytes. Without a manifest, what only it knows is null."""

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
        """What is wrong with it, as far as the listing shows; empty if nothing."""
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
    All stored snapshots, the newest first, and where they are. ``missing`` has the names of stored
    files that are gone, although their manifests are there.
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


class VerifiedSnapshotSerializer(VerificationSerializer):
    """The answer to a verification: the stored snapshot, and what was found."""

    status = serializers.ChoiceField(choices=OUTCOMES, help_text="The outcome.")
    backup = StoredSnapshotDetailSerializer(
        allow_null=True, help_text="Null if only its manifest is left."
    )

    def to_representation(self, instance: tuple[StoredSnapshot | None, Verification]) -> Any:
        stored, verification = instance
        found = {
            str(name): getattr(verification, str(name)) for name in VerificationSerializer().fields
        }
        return super().to_representation(found | {"status": verification.outcome, "backup": stored})


class DeletedSnapshotSerializer(AnswerSerializer):
    """The answer to a deletion."""

    status = serializers.ChoiceField(choices=["deleted"])
    message = serializers.CharField()
    backup: Any = StoredSnapshotSerializer(help_text="What it was.")


# What a request says


class StoreFormSerializer(serializers.Serializer[Any]):
    """The body of a request for a backup; it may be empty."""

    label = serializers.CharField(  # type: ignore[assignment]
        required=False,
        allow_blank=True,
        max_length=MOST_LETTERS,
        help_text="A note. With a label, a snapshot is stored even if nothing has changed.",
    )


class HoldFormSerializer(serializers.Serializer[Any]):
    """The body of a request to hold a stored snapshot; it may be empty."""

    reason = serializers.CharField(
        required=False, allow_blank=True, max_length=MOST_LETTERS, help_text="Why it must stay."
    )


class ButtonSerializer(serializers.Serializer[Any]):
    """The form of the browsable API: only a button."""


# A job


class JobErrorSerializer(AnswerSerializer):
    """Why a job failed, and the HTTP status of a request that waited for it."""

    status = serializers.IntegerField()
    detail = serializers.CharField()
    code = serializers.CharField()
    hint = serializers.CharField()


class TableRowsSerializer(AnswerSerializer):
    """How many rows a table has. Null: it has no such table, or it can't be read."""

    table = serializers.CharField()
    live = serializers.IntegerField(allow_null=True)
    snapshot = serializers.IntegerField(allow_null=True)


class PreparedRestoreSerializer(AnswerSerializer):
    """What is known of a snapshot that was checked and waits for a decision."""

    kind = serializers.ChoiceField(choices=SOURCES)
    name = serializers.CharField(help_text="Of the upload, the stored snapshot or the kept copy.")
    size = serializers.IntegerField(help_text="Bytes, of the database.")
    sha256 = serializers.CharField()
    taken_at = UtcField(allow_null=True)
    migrations = TextsField(help_text="Those that the next start would run on it.")
    warnings = TextsField()
    rows = TableRowsSerializer(many=True)
    emptied = TextsField(help_text="Tables of login sessions, which a restore empties.")

    def to_representation(self, instance: Mapping[str, Any]) -> Any:
        taken_at = instance.get("taken_at")
        known = {"taken_at": taken_at and datetime.fromisoformat(taken_at)}
        return super().to_representation({**instance, **known})


class DecisionSerializer(AnswerSerializer):
    """What somebody has decided about a restore that was checked."""

    what = serializers.ChoiceField(choices=["stage", "apply", "cancel"])
    by = serializers.CharField()
    at = UtcField()

    def to_representation(self, instance: Mapping[str, Any]) -> Any:
        return super().to_representation({**instance, "at": datetime.fromisoformat(instance["at"])})


class JobSerializer(AnswerSerializer):
    """Long work, how far it is, and what became of it."""

    status = serializers.ChoiceField(choices=["running", "done", "failed", "stopped"])
    message = serializers.CharField()
    job = serializers.CharField(help_text="Its id.")
    work = serializers.ChoiceField(choices=["store", "verify", "restore", "prepare", "run-due"])
    by = serializers.CharField(help_text="A key or a user.")
    began_at = UtcField()
    ended_at = UtcField(allow_null=True)
    answer = serializers.DictField(
        allow_null=True, help_text="The answer to a request that waits for the end of the job."
    )
    error = JobErrorSerializer(allow_null=True)
    step = serializers.CharField(help_text="What it does now, or did last; empty at first.")
    done = serializers.IntegerField(
        help_text="Bytes of this step, or its rows, until a second ago."
    )
    total = serializers.IntegerField(allow_null=True, help_text="Null: not known.")
    source = serializers.DictField(help_text="What is restored.")  # type: ignore[assignment]
    verdict = PreparedRestoreSerializer(allow_null=True)
    decision = DecisionSerializer(allow_null=True)

    def to_representation(self, instance: Job) -> Any:
        said = {
            "status": instance.outcome,
            "message": MESSAGES[instance.outcome],
            "job": instance.id,
            "began_at": datetime.fromisoformat(instance.began_at),
            "ended_at": instance.ended_at and datetime.fromisoformat(instance.ended_at),
        }
        if (error := instance.error) is not None:
            status = status_of_kind(kind_of(error["code"]))
            said["error"] = {**error, "detail": error["message"], "status": status}
        return super().to_representation(vars(instance) | said)


class VerdictSerializer(AnswerSerializer):
    """Whether a stored snapshot stays by the rules of retention, and what came of that."""

    id = serializers.CharField(source="snapshot.id")
    kept = serializers.BooleanField(source="is_kept")
    reasons = TextsField()
    deleted = serializers.BooleanField(source="is_deleted")
    refusal = serializers.CharField()


class VerdictsSerializer(AnswerSerializer):
    """The verdict on each stored snapshot, the newest first, and where they are."""

    where = serializers.CharField()
    verdicts: Any = VerdictSerializer(many=True)
