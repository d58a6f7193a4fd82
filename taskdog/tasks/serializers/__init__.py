"""Tasks on the wire: what goes out, and what may come in."""

from taskdog.tasks.serializers.answers import (
    BulkOutcomeSerializer,
    DeletedTagSerializer,
    NextTasksSerializer,
    NotesSerializer,
    OutcomeSerializer,
    TagCountSerializer,
    TagStatisticsSerializer,
    TaskDetailSerializer,
    TaskListSerializer,
    TaskOperationSerializer,
    TaskSerializer,
    UpdatedTaskSerializer,
)
from taskdog.tasks.serializers.bodies import (
    ActualTimesSerializer,
    NewDependencySerializer,
    NewNotesSerializer,
    NewTaskSerializer,
    NoBodySerializer,
    TagsSerializer,
    TaskChangesSerializer,
    TaskIdsSerializer,
)
from taskdog.tasks.serializers.queries import (
    ExecutableQuerySerializer,
    TaskIdsQuerySerializer,
    TaskQuerySerializer,
)

__all__ = [
    "ActualTimesSerializer",
    "BulkOutcomeSerializer",
    "DeletedTagSerializer",
    "ExecutableQuerySerializer",
    "NewDependencySerializer",
    "NewNotesSerializer",
    "NewTaskSerializer",
    "NextTasksSerializer",
    "NoBodySerializer",
    "NotesSerializer",
    "OutcomeSerializer",
    "TagCountSerializer",
    "TagStatisticsSerializer",
    "TagsSerializer",
    "TaskChangesSerializer",
    "TaskDetailSerializer",
    "TaskIdsQuerySerializer",
    "TaskIdsSerializer",
    "TaskListSerializer",
    "TaskOperationSerializer",
    "TaskQuerySerializer",
    "TaskSerializer",
    "UpdatedTaskSerializer",
]
