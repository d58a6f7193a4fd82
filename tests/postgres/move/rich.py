"""A project with a field of every kind, and rows for it."""

from pathlib import Path

from tests.postgres.move.project import Project
from tests.postgres.server import Server

APPS = (
    "django.contrib.contenttypes",
    "django.contrib.auth",
    "django.contrib.sessions",
    "shop",
    "plain",
)

SHOP = '''
import uuid
from django.contrib.contenttypes.fields import GenericForeignKey
from django.contrib.contenttypes.models import ContentType
from django.db import models
from django.db.models import F


class Cents(models.CharField):
    """Stores text in both databases, and reads it as a number."""

    def from_db_value(self, value, expression, connection):
        return None if value is None else int(value.rstrip("c"))

    def get_prep_value(self, value):
        return None if value is None else f"{value}c"


class TwoFaced(models.Field):
    """Stores hexadecimal text in SQLite, and bytes in PostgreSQL."""

    def db_type(self, connection):
        return "bytea" if connection.vendor == "postgresql" else "varchar(100)"

    def from_db_value(self, value, expression, connection):
        if value is None:
            return None
        return bytes(value) if connection.vendor == "postgresql" else bytes.fromhex(value)

    def get_db_prep_value(self, value, connection, prepared=False):
        if value is None or connection.vendor == "postgresql":
            return value
        return value.hex()


class Tag(models.Model):
    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    name = models.CharField(max_length=20, unique=True)


class Country(models.Model):
    code = models.CharField(max_length=2, primary_key=True)


class Everything(models.Model):
    flag = models.BooleanField(null=True)
    small = models.SmallIntegerField(null=True)
    number = models.IntegerField(null=True)
    big = models.BigIntegerField(null=True)
    positive = models.PositiveIntegerField(null=True)
    price = models.DecimalField(max_digits=12, decimal_places=2, null=True)
    share = models.DecimalField(max_digits=20, decimal_places=10, null=True)
    ratio = models.FloatField(null=True)
    name = models.CharField(max_length=20, null=True)
    text = models.TextField(null=True)
    day = models.DateField(null=True)
    moment = models.DateTimeField(null=True)
    clock = models.TimeField(null=True)
    span = models.DurationField(null=True)
    data = models.JSONField(null=True)
    key = models.UUIDField(null=True)
    blob = models.BinaryField(null=True)
    ip = models.GenericIPAddressField(null=True)
    cents = Cents(max_length=20, null=True)
    two = TwoFaced(null=True)
    file = models.FileField(null=True)
    double = models.GeneratedField(
        expression=F("small") * 2, output_field=models.IntegerField(), db_persist=True
    )
    parent = models.ForeignKey("self", models.CASCADE, null=True)
    tags = models.ManyToManyField(Tag)
    country = models.ForeignKey(Country, models.CASCADE, null=True)


class Chicken(models.Model):
    egg = models.ForeignKey("Egg", models.CASCADE, null=True)


class Egg(models.Model):
    of = models.ForeignKey(Chicken, models.CASCADE, related_name="laid")


class Vehicle(models.Model):
    wheels = models.SmallIntegerField()


class Car(Vehicle):
    name = models.CharField(max_length=20)

    class Meta:
        db_table = "Big Cars"


class Note(models.Model):
    kind = models.ForeignKey(ContentType, models.CASCADE)
    object_id = models.PositiveBigIntegerField()
    about = GenericForeignKey("kind", "object_id")


class Odd(models.Model):
    odd = models.CharField(max_length=5, null=True, db_column="Odd Größe")

    class Meta:
        db_table = "Odd {Table}"


class Pair(models.Model):
    pk = models.CompositePrimaryKey("left", "right")
    left = models.IntegerField()
    right = models.CharField(max_length=10)


class AnAppWithAModelWhoseNameIsMuchTooLongForPostgreSQLByFar(models.Model):
    friends = models.ManyToManyField("self")
'''
PLAIN = """
from django.conf import settings
from django.db import models


class Plain(models.Model):
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, null=True)
    name = models.CharField(max_length=20)
"""

# Values at the ends of what both databases hold, and ordinary ones.
FILL = r"""
import datetime, decimal, uuid
from datetime import timedelta, timezone
from django.conf import settings
from django.contrib.auth.models import Group, User
from django.contrib.contenttypes.models import ContentType
from shop.models import *
from plain.models import Plain
from django.contrib.sessions.models import Session

aware = timezone.utc if settings.USE_TZ else None
Country.objects.create(code="de")
tags = [Tag.objects.create(name=f"tag {number}") for number in range(5)]
values = {
    "flag": [True, False],
    "small": [-32768, 32767, 0],
    "number": [-(2**31), 2**31 - 1, -1, 1000],
    "big": [-(2**63), 2**63 - 1, 7],
    "positive": [0, 2**31 - 1],
    "price": [decimal.Decimal(each) for each in ("0", "-0.01", "9999999999.99", "1.10", "3")],
    "share": [decimal.Decimal(each) for each in ("0.1234567891", "12345.5", "-1", "1e-10")],
    "ratio": [0.1, -0.0, 1e308, 5e-324, float("inf"), float("-inf"), 3.0, 1e16],
    "name": ["", "\\N", "ä" * 20, "tab\there", "Zeile\nzwei\r\n", "'\"%s%%", " space "],
    "text": ["\\.", "\\", "\U0001f600" * 3, "\b\v\f\x01\x7f", "x" * 100000, "a\\tb", "é\u2028"],
    "day": [datetime.date(1, 1, 1), datetime.date(9999, 12, 31), datetime.date(2024, 2, 29)],
    "moment": [
        datetime.datetime(1970, 1, 1, tzinfo=aware),
        datetime.datetime(2024, 7, 1, 12, 30, 15, 123456, tzinfo=aware),
        datetime.datetime(2024, 7, 1, 12, 30, 15, 120000, tzinfo=aware),
        datetime.datetime(1850, 1, 1, 0, 0, 1, tzinfo=aware),
        datetime.datetime(2023, 10, 29, 2, 30, tzinfo=aware),
        datetime.datetime(9999, 12, 30, tzinfo=aware),
    ],
    "clock": [datetime.time(0), datetime.time(23, 59, 59, 999999), datetime.time(1, 2, 3, 4000)],
    "span": [timedelta(0), timedelta(-1, 5, 7), timedelta(400, 3, 1), timedelta(106751990)],
    "data": [
        {"b": [1, 2.50, None, True, "\u00e9\u2028\\u0000 \\ \" \n"], "a": {}}, [], "text", 12,
        [1e300, -0.0, 1.0], None, {"number": 10**40}, "\U0001f600",
    ],
    "key": [uuid.UUID(int=0), uuid.UUID(int=2**128 - 1), uuid.uuid4()],
    "blob": [b"", b"\x00\xff\\", bytes(range(256)) * 10],
    "ip": ["127.0.0.1", "::1", "::ffff:1.2.3.4", "2001:db8::5"],
    "cents": [5, -7],
    "two": [b"\x00\xff", b""],
    "file": ["a/b.txt"],
}
for name, each in values.items():
    for value in each:
        Everything.objects.create(**{name: value})
first = Everything.objects.create(country_id="de")
first.tags.set(tags[:3])
second = Everything.objects.create(parent=first, **{n: v[0] for n, v in values.items()})
second.tags.set(tags)
first.parent = second
first.save()
chicken = Chicken.objects.create()
chicken.egg = Egg.objects.create(of=chicken)
chicken.save()
Car.objects.create(wheels=4, name="fast")
Note.objects.create(kind=ContentType.objects.get_for_model(Tag), object_id=5)
Odd.objects.create(odd="%s{}")
Pair.objects.create(left=1, right="one")
Pair.objects.create(left=1, right="two")
long = AnAppWithAModelWhoseNameIsMuchTooLongForPostgreSQLByFar
long.objects.create().friends.set([long.objects.create()])
user = User.objects.create_user("someone", "a@b.example", "secret")
user.groups.set([Group.objects.create(name="all")])
Plain.objects.create(owner=user, name="without migrations")
"""


def make_rich(folder: Path, server: Server, *, use_tz: bool = True, zone: str = "UTC") -> Project:
    """Write it, with its migrations, and make its SQLite database."""
    project = Project(folder, server, APPS, use_tz=use_tz, zone=zone)
    project.app("shop", SHOP, migrations={})
    project.app("plain", PLAIN)
    project.run("manage.py", "makemigrations", "shop", "-v0")
    project.migrate()
    return project


def fill(project: Project) -> None:
    project.shell(FILL)
