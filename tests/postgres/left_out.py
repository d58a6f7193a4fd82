"""The tests that a run of the site's tests on PostgreSQL leaves out, and why."""

FILE = "is about SQLite's own file, or how it is opened"
RESTORES = "restores with SQLite itself; tests/postgres has its twin"

LEFT_OUT = {
    "test_checks.py::test_transactions_that_do_not_lock_at_once_are_an_error": FILE,
    "test_data_folder.py::test_all_that_a_site_makes_in_an_open_folder_is_for_its_user_alone": FILE,
    "test_export_tasks.py::test_the_live_database_is_not_written_over": FILE,
    "test_gunicorn.py::test_server_started_with_an_open_umask_keeps_all_its_files": FILE,
    "test_import_taskdog.py::test_the_live_database_is_refused": FILE,
    "test_import_taskdog.py::test_a_locked_store_is_told_without_a_traceback": FILE,
    "test_sessions.py::test_logins_that_an_earlier_release_had_in_the_database_go": FILE,
    "test_settings.py::test_a_transaction_takes_the_write_lock_when_it_begins": FILE,
    "test_settings.py::test_the_database_is_opened_for_many_readers_and_a_waiting_writer": FILE,
    "audit/test_archive.py": RESTORES,
    "audit/test_restores.py": RESTORES,
    "schema/test_schema.py::test_answers_of_backups_are_as_described": RESTORES,
    "test_import_taskdog.py::test_a_snapshot_of_this_site_is_refused": RESTORES,
    "test_sessions.py::test_stolen_snapshot_has_no_login_and_a_restore_ends_them_all": RESTORES,
}


def reason_for(test: str) -> str | None:
    """Why a test is left out, by its node id; None if it is not."""
    return next((why for part, why in LEFT_OUT.items() if part in test), None)


def tell() -> None:
    """Say what is left out."""
    for part, why in LEFT_OUT.items():
        print(f"Left out on PostgreSQL: {part}: {why}.")
