"""Random questions over the gate's datasets, as a person would write them."""

from collections.abc import Callable
from dataclasses import dataclass

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn

INT, TEXT, DATE = "int", "text", "date"
Columns = tuple[tuple[str, str], ...]
DATASETS: dict[tuple[str, str], Columns] = {
    ("ops", "flights"): (("id", INT), ("carrier", TEXT), ("day", DATE), ("delay", INT)),
    ("ops", "weather"): (("day", DATE), ("wind", INT)),
    ("crm", "passengers"): (("id", INT), ("flight", INT), ("email", TEXT)),
    ("crm", "orders"): (("id", INT), ("total", INT)),
    ("archive", "orders"): (("id", INT), ("total", INT), ("note", TEXT)),
}
_LITERALS = {
    INT: st.integers(-3, 12).map(str),
    TEXT: st.sampled_from(["'AA'", "'a'", "'it''s'", "''", "NULL", "'%'"]),
    DATE: st.sampled_from(["DATE '2020-01-01'", "DATE '2020-01-03'", "NULL::DATE"]),
}
_CASTS = {INT: "BIGINT", TEXT: "VARCHAR", DATE: "DATE"}


@dataclass(frozen=True, slots=True)
class Source:
    """One relation in FROM: its text, how to qualify its columns, and what they are."""

    sql: str
    qualifiers: tuple[str, ...]
    columns: Columns


@st.composite
def questions(draw: DrawFn) -> str:
    """A SELECT, perhaps with common table expressions and set operations."""
    commons: list[Source] = []
    definitions: list[str] = []
    for number in range(draw(st.integers(0, 2))):
        types = draw(_types())
        body = draw(selects(types, tuple(commons)))
        name = draw(st.sampled_from([f"q{number}", f"Q{number}", f'"q{number}"']))
        hint = draw(st.sampled_from(["", "MATERIALIZED ", "NOT MATERIALIZED "]))
        definitions.append(f"{name} AS {hint}({body})")
        commons.append(Source(f"q{number}", (f"q{number}",), _named(types)))
    types = draw(_types())
    parts = [draw(selects(types, tuple(commons))) for _ in range(draw(st.integers(1, 2)))]
    operation = draw(st.sampled_from([" UNION ", " UNION ALL ", " EXCEPT ", " INTERSECT "]))
    body = operation.join(f"({part})" for part in parts) if len(parts) > 1 else parts[0]
    return ("WITH " + ", ".join(definitions) + " " if definitions else "") + body


@st.composite
def selects(
    draw: DrawFn, types: tuple[str, ...], commons: tuple[Source, ...], depth: int = 1
) -> str:
    """One SELECT with columns c0, c1, … of the given types."""
    sources, clause = draw(_froms(commons, depth))
    shape = draw(st.sampled_from(["plain", "plain", "grouped", "window"]))
    where = f" WHERE {draw(conditions(sources, 2, depth))}" if draw(st.booleans()) else ""
    if shape == "grouped":
        keys = [draw(expressions(sources, kind, 1, depth)) for kind in types[:-1]]
        items = [*keys, draw(_aggregates(sources, types[-1], depth))]
        grouping = ", ".join(str(n + 1) for n in range(len(keys)))
        having = draw(st.sampled_from(["", " HAVING count(*) > 1"])) if keys else ""
        tail = (f" GROUP BY {draw(st.sampled_from([grouping, 'ALL']))}" if keys else "") + having
    else:
        items = [draw(expressions(sources, kind, 2, depth)) for kind in types]
        if shape == "window" and types[0] == INT:
            items[0] = draw(_windows(sources, depth))
        tail = ""
    distinct = draw(st.sampled_from(["", "", "DISTINCT "]))
    listed = ", ".join(f"{item} AS c{n}" for n, item in enumerate(items))
    order = draw(st.sampled_from(["", "", " ORDER BY ALL", " ORDER BY ALL LIMIT 3"]))
    return f"SELECT {distinct}{listed} FROM {clause}{where}{tail}{order}"


@st.composite
def _froms(draw: DrawFn, commons: tuple[Source, ...], depth: int) -> tuple[tuple[Source, ...], str]:
    first = draw(_sources(commons, 0, depth))
    if draw(st.booleans()):
        return (first,), first.sql
    second = draw(_sources(commons, 1, depth))
    both = (first, second)
    kind = draw(st.sampled_from(["JOIN", "LEFT JOIN", "FULL JOIN", "CROSS JOIN", ",", "SEMI JOIN"]))
    if kind in ("CROSS JOIN", ","):
        return both, f"{first.sql} {kind} {second.sql}"
    left, right = draw(_column(first, None)), draw(_column(second, None))
    clause = f"{first.sql} {kind} {second.sql} ON {left}::VARCHAR = {right}::VARCHAR"
    return ((first,) if kind == "SEMI JOIN" else both), clause


@st.composite
def _sources(draw: DrawFn, commons: tuple[Source, ...], number: int, depth: int) -> Source:
    kind = draw(st.sampled_from(["dataset", "dataset", "dataset", "common", "subquery", "values"]))
    if kind == "common" and commons:
        source = draw(st.sampled_from(commons))
        alias = f"s{number}"
        return Source(f"{source.sql} AS {alias}", (alias,), source.columns)
    if kind == "subquery" and depth > 0:
        types = draw(_types())
        body = draw(selects(types, commons, depth - 1))
        return Source(f"({body}) AS s{number}", (f"s{number}",), _named(types))
    if kind == "values":
        rows = draw(st.lists(_LITERALS[INT], min_size=1, max_size=3))
        listed = ", ".join(f"({row}, 'v')" for row in rows)
        alias = f"s{number}"
        return Source(f"(VALUES {listed}) AS {alias}(a, b)", (alias,), (("a", INT), ("b", TEXT)))
    return draw(_datasets(number))


@st.composite
def _datasets(draw: DrawFn, number: int) -> Source:
    product, dataset = draw(st.sampled_from(sorted(DATASETS)))
    paths = [(product, dataset), ("air", product, dataset)]
    if dataset != "orders":
        paths.append((dataset,))
    path = [draw(_spellings(part)) for part in draw(st.sampled_from(paths))]
    name, columns = ".".join(path), DATASETS[product, dataset]
    if draw(st.booleans()):
        return Source(f"{name} AS s{number}", (f"s{number}",), columns)
    return Source(name, (f"{product}.{dataset}", f"air.{product}.{dataset}"), columns)


def _spellings(name: str) -> st.SearchStrategy[str]:
    return st.sampled_from(
        [name, name, name.upper(), name.title(), f'"{name}"', f'"{name.title()}"']
    )


@st.composite
def _column(draw: DrawFn, source: Source, kind: str | None) -> str:
    fitting = [name for name, own in source.columns if kind in (None, own)]
    if not fitting:
        return draw(_LITERALS[kind or INT])
    name = draw(st.sampled_from(fitting))
    return f"{draw(st.sampled_from(source.qualifiers))}.{draw(_spellings(name))}"


@st.composite
def expressions(draw: DrawFn, sources: tuple[Source, ...], kind: str, size: int, depth: int) -> str:
    """An expression of a type over the sources' columns."""
    if size == 0 or draw(st.integers(0, 3)) == 0:
        if draw(st.integers(0, 3)) == 0:
            return draw(_LITERALS[kind])
        return draw(_column(draw(st.sampled_from(sources)), kind))

    def part(of: str) -> str:
        return draw(expressions(sources, of, size - 1, depth))

    def case() -> str:
        condition = draw(conditions(sources, size - 1, depth))
        return f"CASE WHEN {condition} THEN {part(kind)} ELSE {part(kind)} END"

    general: list[Callable[[], str]] = [
        case,
        lambda: f"coalesce({part(kind)}, {part(kind)})",
        lambda: f"nullif({part(kind)}, {part(kind)})",
        lambda: f"greatest({part(kind)}, {part(kind)})",
        lambda: f"TRY_CAST({part(TEXT)} AS {_CASTS[kind]})",
    ]
    own: dict[str, list[Callable[[], str]]] = {
        INT: [
            lambda: f"({part(INT)} + {part(INT)})",
            lambda: f"{part(INT)} * 2 - (- {part(INT)})",
            lambda: f"length({part(TEXT)})",
            lambda: f"extract(day FROM {part(DATE)})",
            lambda: f"({part(DATE)} - {part(DATE)})",
            lambda: f"{part(INT)} % 3",
        ],
        TEXT: [
            lambda: f"{part(TEXT)} || {part(TEXT)}",
            lambda: f"upper({part(TEXT)})",
            lambda: f"CAST({part(INT)} AS VARCHAR)",
            lambda: f"{part(DATE)}::VARCHAR",
            lambda: f"substring({part(TEXT)} FROM 1 FOR 2)",
            lambda: f"list_transform([{part(TEXT)}], lambda x: x || '!')[1]",
        ],
        DATE: [
            lambda: f"CAST({part(DATE)} + INTERVAL 1 DAY AS DATE)",
            lambda: f"date_trunc('month', {part(DATE)})::DATE",
        ],
    }
    return draw(st.sampled_from([*general, *own[kind]]))()


@st.composite
def conditions(draw: DrawFn, sources: tuple[Source, ...], size: int, depth: int) -> str:
    """A condition over the sources' columns."""
    kind = draw(st.sampled_from([INT, TEXT, DATE]))

    def part(of: str = kind) -> str:
        return draw(expressions(sources, of, max(size - 1, 0), depth))

    compared = draw(st.sampled_from(["=", "<>", "<", ">=", "IS DISTINCT FROM"]))
    pattern = draw(st.sampled_from(["'A%'", "'%a%'", "'_'"]))
    choices = [
        lambda: f"{part()} {compared} {part()}",
        lambda: f"{part()} BETWEEN {part()} AND {part()}",
        lambda: f"{part()} IS NOT NULL",
        lambda: f"{part()} NOT IN ({part()}, {part()})",
        lambda: f"{part(TEXT)} LIKE {pattern}",
        lambda: f"{part(TEXT)} NOT ILIKE '%U%'",
    ]
    if size > 0:
        smaller = conditions(sources, size - 1, depth)
        choices.append(lambda: f"({draw(smaller)} AND {draw(smaller)})")
        choices.append(lambda: f"(NOT {draw(smaller)} OR {draw(smaller)})")
    if depth > 0:
        inner = selects((kind,), (), depth - 1)
        choices.append(lambda: f"{part()} IN ({draw(inner)})")
        choices.append(lambda: f"EXISTS ({draw(inner)})")
        choices.append(lambda: f"{part()} = (SELECT max(c0) FROM ({draw(inner)}) AS z)")
    return draw(st.sampled_from(choices))()


@st.composite
def _aggregates(draw: DrawFn, sources: tuple[Source, ...], kind: str, depth: int) -> str:
    inner = draw(expressions(sources, kind, 1, depth))
    choices = [f"min({inner})", f"max({inner}) FILTER ({draw(conditions(sources, 0, 0))})"]
    if kind == INT:
        choices += ["count(*)", f"count(DISTINCT {inner})", f"sum({inner})::BIGINT"]
    if kind == TEXT:
        choices.append(f"string_agg({inner}, ',' ORDER BY {inner})")
    return draw(st.sampled_from(choices))


@st.composite
def _windows(draw: DrawFn, sources: tuple[Source, ...], depth: int) -> str:
    inner = draw(expressions(sources, INT, 1, depth))
    partition = draw(expressions(sources, TEXT, 0, depth))
    return draw(
        st.sampled_from(
            [
                f"rank() OVER (PARTITION BY {partition} ORDER BY {inner} DESC NULLS LAST)",
                f"count(*) OVER (PARTITION BY {partition})",
                f"max({inner}) OVER (PARTITION BY {partition} ORDER BY {inner})",
                f"sum({inner}) OVER (ORDER BY {inner} RANGE UNBOUNDED PRECEDING)::BIGINT",
            ]
        )
    )


def _types() -> st.SearchStrategy[tuple[str, ...]]:
    kinds = st.sampled_from([INT, TEXT, DATE])
    return st.lists(kinds, min_size=1, max_size=3).map(tuple)


def _named(types: tuple[str, ...]) -> Columns:
    return tuple((f"c{number}", kind) for number, kind in enumerate(types))
