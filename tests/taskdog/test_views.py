import pytest
from pytest_django import DjangoAssertNumQueries
from rest_framework.test import APIClient

from taskdog import __version__


@pytest.mark.django_db
@pytest.mark.parametrize("headers", [{}, {"X-Api-Key": "wrong"}, {"Accept": "text/html"}])
def test_health_is_open_and_asks_nothing_of_the_database(
    headers: dict[str, str], django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    with django_assert_num_queries(0):
        response = APIClient().get("/health", headers=headers)
    assert (response.status_code, response.json()) == (200, {"status": "ok"})


def test_the_root_tells_what_answers() -> None:
    response = APIClient().get("/")
    assert response.json() == {"message": "Taskdog API", "version": __version__}


@pytest.mark.parametrize("path", ["/", "/health"])
def test_another_method_is_not_a_matter_of_tokens(path: str) -> None:
    assert APIClient(enforce_csrf_checks=True).post(path).status_code == 405
