"""Mail to BACKUPS_NOTIFY_MAIL, or else to ADMINS, by the site's own settings for mail."""

from django.conf import settings
from django.core.mail import EmailMessage

from backups.conf import conf
from backups.exceptions import NoticeError
from backups.notices.notice import Notice, without_secrets


def recipients() -> list[str]:
    """The addresses; none if nobody wants mail."""
    if conf.notify_mail is not None:
        return list(conf.notify_mail)
    # Until Django 6.0 each was a name and an address.
    return [each if isinstance(each, str) else each[1] for each in settings.ADMINS]


def send(notice: Notice) -> None:
    """Send it. :raises NoticeError: the mail server did not take it."""
    mail = EmailMessage(
        notice.subject,
        notice.body,
        settings.SERVER_EMAIL,
        recipients(),
        headers={"Auto-Submitted": "auto-generated"},  # RFC 3834: no holiday notes in answer
    )
    try:
        mail.send()
    except Exception as error:  # a backend may raise anything
        words = " ".join(without_secrets(str(error)).split())[:300] or type(error).__name__
        raise NoticeError(f"The mail could not be sent: {words.rstrip('.')}.") from error
