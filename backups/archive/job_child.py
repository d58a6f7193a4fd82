"""The process of a job: ``main``. It sets up the site as a command of this app does."""

import json
import signal
import sys


def main(words: str) -> None:
    """
    Do the work, and remember what became of it.

    :param words: JSON: the id of the job, the database's alias or null, the arguments of the work.
    """
    # A thread that blocks signals passes that on. Without this line no signal could end the job.
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    from django.core.management import ManagementUtility

    # ``AppConfig.ready`` finds this command in the frame below, and applies no restore.
    asked = json.loads(words)
    ManagementUtility(["manage.py", "backups", "work", asked["job"], words]).execute()
    sys.exit(0)
