"""
The statements that pg_dump writes for the tables of a site, each in full. Any other is refused.

A pattern is matched against a statement's *shape*: its words in capitals, one space between two,
and ``( )`` for whatever stands in a pair of parentheses that is in no other pair. No pattern has
an object without its schema, nor one of PostgreSQL's own.
"""

import itertools
import re
from collections.abc import Iterator, Sequence

from backups.postgres.dumps.calls import find_calls
from backups.postgres.dumps.tokens import Token
from backups.sqlite.format.schema import Program

_N = r"""(?:"|[A-Z_][A-Z0-9_$]*)"""
_Q = rf"(?!PG_|INFORMATION_SCHEMA\b){_N} \. {_N}"  # an object of a schema that is the site's
_NUMBER = r"(?:- )?0"
_WITH = r"(?: WITH \( \))?"
_LATER = r"(?: DEFERRABLE(?: INITIALLY DEFERRED)?)?(?: NOT ENFORCED)?(?: NOT VALID)?"
_ACTION = r"(?:CASCADE|RESTRICT|NO ACTION|SET NULL|SET DEFAULT)(?: \( \))?"
_SEQUENCE = (
    rf"(?: AS {_N})?(?: START WITH {_NUMBER})?(?: INCREMENT BY {_NUMBER})?"
    rf"(?: NO MINVALUE| MINVALUE {_NUMBER})?(?: NO MAXVALUE| MAXVALUE {_NUMBER})?"
    r"(?: CACHE 0)?(?: CYCLE)?"
)
_COMMENTED = (
    rf"(?:TABLE|COLUMN|INDEX|SEQUENCE|TYPE|DOMAIN|VIEW|MATERIALIZED VIEW|COLLATION|STATISTICS"
    rf"|TEXT SEARCH CONFIGURATION|TEXT SEARCH DICTIONARY|FOREIGN TABLE) {_Q}(?: \. {_N})?"
    rf"|(?:EXTENSION|SCHEMA|EVENT TRIGGER|SERVER) {_N}"
    rf"|(?:CONSTRAINT|TRIGGER|RULE|POLICY) {_N} ON (?:DOMAIN )?{_Q}"
    rf"|(?:FUNCTION|PROCEDURE|AGGREGATE) {_Q} \( \)|CAST \( \)"
)

# Of ALTER TABLE, after the table's name.
_CHANGES = (
    rf"ADD CONSTRAINT {_N} (?:PRIMARY KEY|UNIQUE(?: NULLS NOT DISTINCT)?) \( \)"
    rf"(?: INCLUDE \( \))?{_WITH}{_LATER}",
    rf"ADD CONSTRAINT {_N} EXCLUDE USING {_N} \( \)(?: INCLUDE \( \))?{_WITH}(?: WHERE \( \))?"
    rf"{_LATER}",
    rf"ADD CONSTRAINT {_N} CHECK \( \)(?: NO INHERIT)?(?: NOT ENFORCED)?(?: NOT VALID)?",
    rf"ADD CONSTRAINT {_N} NOT NULL {_N}(?: NO INHERIT)?(?: NOT VALID)?",
    rf"ADD CONSTRAINT {_N} FOREIGN KEY \( \) REFERENCES {_Q} \( \)(?: MATCH FULL)?"
    rf"(?: ON UPDATE {_ACTION})?(?: ON DELETE {_ACTION})?{_LATER}",
    rf"ALTER COLUMN {_N} SET DEFAULT [^,]+",
    rf"ALTER COLUMN {_N} SET NOT NULL",
    rf"ALTER COLUMN (?:{_N}|0) SET STATISTICS {_NUMBER}",
    rf"ALTER COLUMN {_N} SET (?:STORAGE|COMPRESSION) {_N}",
    rf"ALTER COLUMN {_N} SET \( \)",
    rf"ALTER COLUMN {_N} ADD GENERATED (?:ALWAYS|BY DEFAULT) AS IDENTITY \( \)",
    rf"CLUSTER ON {_N}",
    rf"REPLICA IDENTITY (?:FULL|NOTHING|USING INDEX {_N})",
    rf"ATTACH PARTITION {_Q} (?:DEFAULT|FOR VALUES IN \( \)|FOR VALUES FROM \( \) TO \( \)"
    r"|FOR VALUES WITH \( \))",
    rf"INHERIT {_Q}",
    r"(?:ENABLE|FORCE) ROW LEVEL SECURITY",
)
_STATEMENTS = re.compile(
    "|".join(
        (
            rf"CREATE (?:UNLOGGED )?TABLE {_Q} \( \)(?: INHERITS \( \))?"
            rf"(?: PARTITION BY (?:RANGE|LIST|HASH) \( \))?{_WITH}",
            rf"ALTER TABLE (?:ONLY )?{_Q} (?:{'|'.join(_CHANGES)})",
            rf"CREATE (?:UNLOGGED )?SEQUENCE {_Q}{_SEQUENCE}",
            rf"ALTER SEQUENCE {_Q} (?:OWNED BY {_Q} \. {_N}|SET (?:UN)?LOGGED)",
            rf"ALTER DOMAIN {_Q} ADD CONSTRAINT {_N} CHECK \( \) NOT VALID",
            rf"CREATE (?:UNIQUE )?INDEX {_N} ON (?:ONLY )?{_Q} USING {_N} \( \)(?: INCLUDE \( \))?"
            rf"(?: NULLS NOT DISTINCT)?{_WITH}(?: WHERE [^,]+)?",
            rf"ALTER INDEX {_Q} ATTACH PARTITION {_Q}",
            rf"ALTER INDEX {_Q} ALTER COLUMN 0 SET STATISTICS {_NUMBER}",
            rf"CREATE STATISTICS {_Q}(?: \( \))? ON .* FROM {_Q}",
            rf"ALTER STATISTICS {_Q} SET STATISTICS {_NUMBER}",
            rf"CREATE TYPE {_Q} AS (?:ENUM )?\( \)",
            rf"CREATE COLLATION {_Q} \( \)",
            rf"CREATE SCHEMA (?!PG_){_N}",
            rf"COMMENT ON (?:{_COMMENTED}) IS (?:'|NULL)",
            rf"REFRESH MATERIALIZED VIEW {_Q}",
        )
    )
)
_COPY = re.compile(rf"COPY {_Q}(?: \( \))? FROM STDIN")
_SETVAL = re.compile(r"SELECT PG_CATALOG \. SETVAL \( ' , (?:- )?0 , (?:TRUE|FALSE) \)")
_PAIRS = {")": "(", "]": "["}
_CASCADE = re.compile(r"\bON (?:UPDATE|DELETE) (?:CASCADE|SET NULL|SET DEFAULT)\b")


def is_known(tokens: Sequence[Token]) -> bool:
    """Whether pg_dump writes such a statement for a table, or what belongs to one."""
    if _names_the_catalog(tokens):
        return False
    whole = " ".join(each.shape for each in tokens)
    return bool(_SETVAL.fullmatch(whole) or _STATEMENTS.fullmatch(shape(tokens)))


def is_copy(tokens: Sequence[Token]) -> bool:
    """Whether the server waits for the rows of a table after this, and for nothing else."""
    return not _names_the_catalog(tokens) and bool(_COPY.fullmatch(shape(tokens)))


def shape(tokens: Sequence[Token]) -> str:
    """The words of a statement; empty if its parentheses are not in pairs."""
    words, opened = [], ""
    for token in tokens:
        if token.shape in _PAIRS:
            if opened[-1:] != _PAIRS[token.shape]:
                return ""
            opened = opened[:-1]
        if not opened:
            words.append(token.shape)
        if token.shape in _PAIRS.values():
            opened += token.shape
    return "" if opened else " ".join(words)


def find_programs(sql: str, tokens: Sequence[Token]) -> Iterator[Program]:
    """
    The parts of a known statement that run later: an expression that calls a function which is not
    known to be harmless, or a clause by which a foreign key changes other rows.

    :param sql: the text in which the tokens have their places.
    """
    words = shape(tokens)
    if words.startswith(("COMMENT ", "SELECT ")):
        return
    if cascades := _CASCADE.findall(words):
        yield Program("clause", f"{_named(tokens)}: {' '.join(cascades)}", text(sql, tokens))
    elif words.startswith(("CREATE TABLE ", "CREATE UNLOGGED TABLE ")):
        for part in _parts(tokens):
            if any(find_calls(part[1:])):  # of a column, these begin with its type
                name = part[part[0].shape == "CONSTRAINT"].name
                yield Program("expression", f"{_named(tokens)}: {name}", text(sql, part))
    elif any(find_calls(tokens)):
        yield Program("expression", _named(tokens), text(sql, tokens))


def text(sql: str, tokens: Sequence[Token]) -> str:
    """The part of the text that these tokens were read from."""
    return sql[tokens[0].start : tokens[-1].end]


def _parts(tokens: Sequence[Token]) -> Iterator[Sequence[Token]]:
    """Each column and constraint of a table, then what follows them."""
    depth, first = 0, 0
    for number, token in enumerate(tokens):
        depth += {"(": 1, "[": 1, ")": -1, "]": -1}.get(token.shape, 0)
        if token.shape == "(" and depth == 1:
            first = number + 1
        elif (token.shape == "," and depth == 1) or depth < bool(first):
            if number > first:
                yield tokens[first:number]
            first = number + 1
            if depth == 0:
                break
    if len(tokens) > first:
        yield tokens[first:]


def _names_the_catalog(tokens: Sequence[Token]) -> bool:
    """Whether an object is in a schema of PostgreSQL's own, under a name between quotes."""
    return any(
        token.shape == '"'
        and after.shape == "."
        and token.name.startswith(("pg_", "information_schema"))
        for token, after in itertools.pairwise(tokens)
    )


def _named(tokens: Sequence[Token]) -> str:
    """The first name that has a schema."""
    for before, mark, after in zip(tokens, tokens[1:], tokens[2:], strict=False):
        if mark.shape == ".":
            return f"{before.name}.{after.name}"
    return tokens[-1].name
