"""Invented passengers and their bookings on real flights: the same ones on every run.

Faker makes small pools of names per country; DuckDB combines them by hashes of the row's number,
which takes seconds where Faker alone would take minutes.
"""

import duckdb
import pyarrow as pa
from faker import Faker

SEED = 20130101
POOL_DRAWS = 600
# Country, Faker's locale, calling code, and how many of a hundred passengers come from there.
COUNTRIES = (
    ("US", "en_US", "+1", 58),
    ("GB", "en_GB", "+44", 9),
    ("DE", "de_DE", "+49", 7),
    ("FR", "fr_FR", "+33", 6),
    ("ES", "es_ES", "+34", 5),
    ("IT", "it_IT", "+39", 5),
    ("BR", "pt_BR", "+55", 4),
    ("NL", "nl_NL", "+31", 3),
    ("SE", "sv_SE", "+46", 2),
    ("PL", "pl_PL", "+48", 1),
)

_DRAW = f"""
CREATE MACRO draw(row_number, purpose, size) AS
    (hash(row_number, purpose, {SEED}) % size)::BIGINT;
CREATE MACRO pick(row_number, purpose, words) AS
    words[1 + draw(row_number, purpose, len(words))];
"""

# Odd multipliers make the numbers of passports and bookings look random and stay unique.
_PASSENGERS = """
CREATE TABLE passengers AS
WITH numbered AS (
    SELECT range AS n, draw(range, 'country', 100) AS share FROM range(?)
),
named AS (
    SELECT n, country, calling,
        pick(n, 'given', given) AS given, pick(n, 'family', family) AS family
    FROM numbered JOIN pools ON share >= pools.low AND share < pools.high
)
SELECT
    1_000_000 + n AS passenger_id,
    given || ' ' || family AS name,
    regexp_replace(lower(strip_accents(given || '.' || family)), '[^a-z.]', '', 'g')
        || n || '@example.' || pick(n, 'host', ['com', 'net', 'org']) AS email,
    CASE WHEN draw(n, 'phone', 100) >= 4
        THEN calling || lpad((200_000_000 + draw(n, 'digits', 700_000_000))::VARCHAR, 9, '0')
    END AS phone,
    DATE '1933-01-01' + draw(n, 'birth', 29_000)::INTEGER AS birth_date,
    country,
    country || lpad(((n * 7_368_787 + 1_234_567) % 100_000_000)::VARCHAR, 8, '0')
        AS passport_number,
    pick(n, 'tier', ['none', 'none', 'none', 'none', 'none', 'blue', 'blue', 'silver', 'gold'])
        AS loyalty_tier,
    draw(n, 'consent', 100) < 37 AS marketing_consent
FROM named
ORDER BY n
"""

_BOOKINGS = """
CREATE TABLE bookings AS
WITH wanted AS (
    SELECT
        passenger_id,
        unnest(range(pick(passenger_id, 'trips', [1, 1, 1, 1, 2, 2, 2, 3, 4, 6]))) AS trip
    FROM passengers
),
drawn AS (
    SELECT
        passenger_id,
        row_number() OVER (ORDER BY passenger_id, trip) AS n,
        draw(n, 'flight', (SELECT count(*) FROM flights)) AS flight_number,
        pick(n, 'class', ['economy', 'economy', 'economy', 'economy', 'economy', 'economy',
            'economy', 'premium', 'business', 'first']) AS seat_class
    FROM wanted
),
numbered AS (
    SELECT *, row_number() OVER (ORDER BY time_hour, origin, carrier, flight) - 1 AS flight_number
    FROM flights
)
SELECT
    upper(lpad(to_base((n * 387_420_489 + 104_729) % 1_073_741_824, 32), 6, '0')) AS booking_id,
    passenger_id,
    year, month, day, carrier, flight, origin,
    seat_class,
    ((40 + distance * 0.11)
        * CASE seat_class WHEN 'economy' THEN 1 WHEN 'premium' THEN 1.6
            WHEN 'business' THEN 3.1 ELSE 4.8 END
        * (70 + draw(n, 'price', 60)) / 100)::DECIMAL(9, 2) AS fare,
    time_hour - to_seconds(3_600 + draw(n, 'ahead', 180 * 86_400)) AS booked_at
FROM drawn JOIN numbered USING (flight_number)
ORDER BY booked_at, booking_id
"""


def invent(connection: duckdb.DuckDBPyConnection, passengers: int) -> None:
    """Add the tables `passengers` and `bookings` beside `flights`."""
    connection.execute(_DRAW)
    connection.register("drawn_pools", _pools())
    connection.execute("CREATE TABLE pools AS FROM drawn_pools")
    connection.unregister("drawn_pools")
    connection.execute(_PASSENGERS, [passengers])
    connection.execute(_BOOKINGS)


def _pools() -> pa.Table:
    """Names per country, and the share of passengers from there as a range of 0 to 99."""
    rows, low = [], 0
    for country, locale, calling, share in COUNTRIES:
        faker = Faker(locale)
        faker.seed_instance(SEED)
        given = sorted({faker.first_name() for _ in range(POOL_DRAWS)})
        family = sorted({faker.last_name() for _ in range(POOL_DRAWS)})
        rows.append(
            {
                **{"country": country, "calling": calling, "low": low, "high": low + share},
                **{"given": given, "family": family},
            }
        )
        low += share
    return pa.Table.from_pylist(rows)
