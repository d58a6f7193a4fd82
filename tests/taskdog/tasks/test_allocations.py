from datetime import date

from taskdog.tasks.allocations import spread_hours

FRIDAY, SATURDAY, SUNDAY, MONDAY = (date(2030, 1, day) for day in (18, 19, 20, 21))


def test_hours_are_spread_evenly_over_working_days() -> None:
    assert spread_hours(5, first=FRIDAY, last=MONDAY) == {FRIDAY: 2.5, MONDAY: 2.5}


def test_a_plan_of_one_day_takes_all_hours() -> None:
    assert spread_hours(3, first=MONDAY, last=MONDAY) == {MONDAY: 3}


def test_a_weekend_counts_when_there_is_no_working_day() -> None:
    assert spread_hours(4, first=SATURDAY, last=SUNDAY) == {SATURDAY: 2, SUNDAY: 2}


def test_a_plan_that_ends_before_it_begins_takes_no_day() -> None:
    assert spread_hours(4, first=MONDAY, last=FRIDAY) == {}


def test_a_share_that_cannot_be_told_from_zero_takes_no_day() -> None:
    assert spread_hours(5e-324, first=FRIDAY, last=MONDAY) == {}
