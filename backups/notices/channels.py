"""The ways by which people and programs are told: mail, webhook, ping. Each is tried by itself."""

import threading
from collections.abc import Callable, Mapping

from django.db import connections

from backups.archive.state import State
from backups.conf import conf
from backups.notices import mail, ping, request, webhook
from backups.notices.notice import Notice, without_secrets

SECONDS = 30.0  # a channel may take so long: one that hangs must not keep the next backup waiting

Channels = Mapping[str, Callable[[Notice], None]]


def people() -> Channels:
    """Those by which people are told."""
    channels: dict[str, Callable[[Notice], None]] = {}
    if mail.recipients():
        channels["mail"] = mail.send
    if conf.webhook:
        channels["webhook"] = webhook.send
    return channels


def monitor(state: State) -> Channels:
    """That of a monitor, if there is one."""
    if not conf.ping_url:
        return {}
    return {"ping": lambda notice: ping.send(notice, seconds=state.last_seconds)}


def described(name: str) -> str:
    """Which one that is, for a person."""
    if name == "mail":
        return f"mail to {', '.join(mail.recipients())}"
    return f"{name} to {request.shown(conf.webhook if name == 'webhook' else conf.ping_url)}"


def send(channels: Channels, notice: Notice) -> dict[str, str]:
    """What went wrong, by channel: all of them at once, none for longer than SECONDS."""
    errors = dict.fromkeys(channels, f"It took more than {SECONDS:.0f} seconds.")

    def work(name: str) -> None:
        try:
            channels[name](notice)
            errors[name] = ""
        except Exception as error:
            errors[name] = without_secrets(str(error) or type(error).__name__)
        finally:
            connections.close_all()  # this thread's: a site may queue its mail in the database

    threads = [threading.Thread(target=work, args=(name,), daemon=True) for name in channels]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(SECONDS)
    return errors
