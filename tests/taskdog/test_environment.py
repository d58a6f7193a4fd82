import pytest
from django.core.exceptions import ImproperlyConfigured

from taskdog import environment

NAME = "TASKDOG_TESTED"


@pytest.mark.parametrize("given", ["1", "true", "YES", " on "])
def test_yes_is_understood_in_its_usual_spellings(
    given: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(NAME, given)
    assert environment.flag(NAME, default=False) is True


@pytest.mark.parametrize("given", ["0", "False", "no", "OFF"])
def test_no_is_understood_in_its_usual_spellings(
    given: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(NAME, given)
    assert environment.flag(NAME, default=True) is False


@pytest.mark.parametrize("given", ["maybe", "2", "disabled"])
def test_a_flag_that_is_neither_stops_the_start_and_is_named(
    given: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(NAME, given)
    with pytest.raises(ImproperlyConfigured, match=NAME):
        environment.flag(NAME, default=True)


@pytest.mark.parametrize("given", ["", "  "])
def test_a_blank_variable_takes_the_default(given: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(NAME, given)
    assert environment.flag(NAME, default=True) is True
    assert environment.whole_number(NAME, default=7) == 7
    assert environment.text(NAME, "x") == "x"
    assert environment.items(NAME) == []


@pytest.mark.parametrize("given", ["1", "-3", "1.5", "many", "²"])
def test_a_number_that_is_wrong_or_too_small_stops_the_start(
    given: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(NAME, given)
    with pytest.raises(ImproperlyConfigured, match=f"{NAME} .* 2 or more"):
        environment.whole_number(NAME, default=2, minimum=2)


def test_items_are_trimmed_and_empty_ones_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(NAME, " a.example, ,b.example,")
    assert environment.items(NAME) == ["a.example", "b.example"]


def test_a_choice_is_spelled_as_among_the_options(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(NAME, "debug")
    assert environment.choice(NAME, ["DEBUG", "INFO"], default="INFO") == "DEBUG"


def test_an_unknown_choice_names_the_options(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(NAME, "xml")
    with pytest.raises(ImproperlyConfigured, match=f"{NAME} is 'xml'.* text, json"):
        environment.choice(NAME, ["text", "json"], default="text")
