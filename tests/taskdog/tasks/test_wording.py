"""What is refused, in the words that the command line shows: those of its own server."""

from typing import Any

import pytest
from rest_framework.test import APIClient

NAME = {"name": "a task"}


@pytest.mark.parametrize(
    ("given", "field", "words"),
    [
        ({"name": ""}, "name", "String should have at least 1 character"),
        ({"name": "x" * 256}, "name", "String should have at most 255 characters"),
        (NAME | {"priority": 0}, "priority", "Input should be greater than 0"),
        (NAME | {"priority": -3}, "priority", "Input should be greater than 0"),
        (NAME | {"estimated_duration": 0}, "estimated_duration", "Input should be greater than 0"),
        (NAME | {"tags": [" "]}, "tags", "Value error, Tags must be non-empty"),
        (NAME | {"tags": ["a", "a"]}, "tags", "Value error, Tags must be unique"),
        (NAME | {"tags": ["t" * 51]}, "tags", "Value error, Tag cannot exceed 50 characters"),
        (
            NAME | {"tags": [str(number) for number in range(21)]},
            "tags",
            "Value error, Cannot have more than 20 tags per task",
        ),
    ],
)
def test_a_refusal_is_worded_as_the_clients_know_it(
    api: APIClient, given: dict[str, Any], field: str, words: str
) -> None:
    made = api.post("/api/v1/tasks", NAME).json()["id"]
    for answer in (
        api.post("/api/v1/tasks", given),
        api.patch(f"/api/v1/tasks/{made}", given),
    ):
        assert answer.status_code == 422
        (problem,) = answer.json()["detail"]
        assert problem["loc"] == ["body", field]
        assert problem["msg"] == words
