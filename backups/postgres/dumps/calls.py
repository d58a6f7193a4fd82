"""
What the expressions of a schema call: a default, a check, an index, a generated column.

They run as rows come in, with the rights of the site's role. Many of PostgreSQL's own functions are
not harmless then: ``pg_terminate_backend`` ends the live site's sessions, and ``query_to_xml`` runs
any query. So this module lists the functions that compute a value and do nothing else. A statement
that calls any other is a program.

The ``search_path`` is empty, so a name without a schema can only be one of PostgreSQL's own.
"""

from collections.abc import Iterator, Sequence

from backups.postgres.dumps.tokens import Token

# What may stand before a parenthesis and calls nothing, as the server's grammar has it.
_WORDS = """
    ADD ALL ALWAYS AND ANY ARRAY AS BETWEEN BY CASE CHECK COLUMN DEFAULT DISTINCT ELSE ENUM
    EXCLUDE EXPRESSION FOR FROM GENERATED HASH IDENTITY IN INCLUDE INHERITS INTERVAL IS KEY LIST
    NOT NULL ON OPERATOR OR RANGE ROW SET SOME SYMMETRIC THEN TO UNIQUE USING VALUES WHEN WHERE
    WITH
"""
# Types with a length, a precision or a scale.
_TYPES = """
    BIT BPCHAR CHAR CHARACTER DECIMAL FLOAT INTERVAL NUMERIC SECOND TIME TIMESTAMP TIMESTAMPTZ
    TIMETZ VARBIT VARCHAR VARYING
"""
_FUNCTIONS = """
    abs acos age array_append array_cat array_length array_lower array_ndims array_position
    array_positions array_prepend array_remove array_replace array_to_json array_to_string
    array_to_tsvector array_upper ascii asin atan atan2 bit_count bit_length bool bpchar broadcast
    btrim cardinality cbrt ceil ceiling char_length character_length chr clock_timestamp coalesce
    concat concat_ws convert_from convert_to cos cot current_date current_time current_timestamp
    date date_bin date_part date_trunc daterange datemultirange decode degrees div encode exp
    extract factorial family float4 float8 floor format gcd gen_random_uuid get_bit get_byte
    greatest height host hostmask initcap int2 int4 int4multirange int4range int8 int8multirange
    int8range is_normalized isempty isfinite json_array_length json_build_array json_build_object
    json_extract_path json_extract_path_text json_object json_strip_nulls json_typeof
    jsonb_array_length jsonb_build_array jsonb_build_object jsonb_exists jsonb_exists_all
    jsonb_exists_any jsonb_extract_path jsonb_extract_path_text jsonb_insert jsonb_object
    jsonb_path_exists jsonb_path_match jsonb_path_query_array jsonb_path_query_first jsonb_pretty
    jsonb_set jsonb_strip_nulls jsonb_to_tsvector jsonb_typeof json_to_tsvector justify_days
    justify_hours justify_interval lcm least left length like_escape ln localtime localtimestamp
    log log10 lower lower_inc lower_inf lpad ltrim make_date make_interval make_time make_timestamp
    make_timestamptz masklen md5 min_scale mod multirange netmask network nextval normalize now
    nullif num_nonnulls num_nulls numeric nummultirange numnode numrange octet_length overlay
    phraseto_tsquery pi plainto_tsquery point position pow power quote_ident quote_literal
    quote_nullable radians random range_merge regexp_count regexp_instr regexp_like regexp_match
    regexp_replace regexp_substr repeat replace reverse right round row_to_json rpad rtrim scale
    set_bit set_byte setweight sha224 sha256 sha384 sha512 sign sin split_part sqrt starts_with
    statement_timestamp string_to_array strip strpos substr substring tan text timeofday timezone
    to_ascii to_char to_date to_hex to_json to_jsonb to_number to_timestamp to_tsquery to_tsvector
    transaction_timestamp translate trim trim_array trim_scale trunc ts_delete ts_filter ts_rank
    ts_rank_cd tsmultirange tsquery_phrase tsrange tstzmultirange tstzrange tsvector_to_array
    unistr upper upper_inc upper_inf uuid_extract_timestamp uuid_extract_version uuidv4 uuidv7
    varchar websearch_to_tsquery width width_bucket xmlcomment xmlconcat
"""
_NO_FUNCTIONS = frozenset(f"{_WORDS} {_TYPES}".split())
_HARMLESS = frozenset(_FUNCTIONS.split())
# After these stands the name of a table, of an index method and the like.
_BEFORE_AN_OBJECT = frozenset({"COLLATION", "ONLY", "REFERENCES", "STATISTICS", "TABLE", "USING"})


def find_calls(tokens: Sequence[Token]) -> Iterator[str]:
    """
    The name of each function that these tokens call and that is not known to be harmless. The first
    token is never a call: it is a statement's first word, or the type of a column.
    """
    for number, token in enumerate(tokens):
        if token.shape == "(" and number:
            first = _beginning(tokens, number - 1)
            names = [each for each in tokens[first:number] if each.name]
            is_call = first and tokens[first - 1].shape not in _BEFORE_AN_OBJECT
            if names and is_call and not _is_harmless(names):
                yield ".".join(each.name for each in names)
        # (a).b calls b if a has no field of that name.
        elif token.shape == "." and number and tokens[number - 1].shape in (")", "]"):
            yield _shape_at(tokens, number + 1)
        # The function behind an operator that is not PostgreSQL's own.
        elif token.shape == "OPERATOR" and _shape_at(tokens, number + 2) != "PG_CATALOG":
            yield "operator"


def _shape_at(tokens: Sequence[Token], number: int) -> str:
    return tokens[number].shape if number < len(tokens) else ""


def _beginning(tokens: Sequence[Token], last: int) -> int:
    """Where the name that ends at ``last`` begins: it can have a schema."""
    while last >= 2 and tokens[last - 1].shape == "." and tokens[last - 2].name:
        last -= 2
    return last


def _is_harmless(names: Sequence[Token]) -> bool:
    last = names[-1]
    if len(names) == 2 and names[0].shape == "PG_CATALOG":
        return last.name in _HARMLESS
    if len(names) > 1:
        return False
    return last.name in _HARMLESS or last.shape in _NO_FUNCTIONS
