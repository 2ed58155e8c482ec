"""The built-in functions that policies may use: each decides alike on both engines.

The differential test of built-ins holds every one of these to that; a new one needs its row there
first. Operators and comprehensions are the language itself and are not listed.
"""

# What looks harmless and is not: regopy and OPA differ on it, or it is no pure function.
ALLOWED = frozenset(
    {
        "abs",
        "array.concat",
        "concat",
        "contains",
        "count",
        "endswith",
        "glob.match",
        "is_array",
        "is_boolean",
        "is_null",
        "is_number",
        "is_object",
        "is_set",
        "is_string",
        "object.get",
        "object.keys",
        "object.union",
        "regex.match",
        "split",
        "startswith",
        "trim_prefix",
        "trim_suffix",
    }
)

# Why some that authors reach for are missing.
REFUSED = {
    "array.slice": "rego-cpp takes what is no array for an empty one",
    "http.send": "a decision looks at nothing but its input",
    "lower": "engines differ on letters outside ASCII; compare texts as they are",
    "print": "policies print nothing; `mesh policy what-if` shows what a rule saw",
    "to_number": "engines differ on texts that are no whole number",
    "trace": "policies print nothing; `mesh policy what-if` shows what a rule saw",
    "rand.intn": "a decision made again must be the same",
    "time.now_ns": "a decision made again must be the same; `input.now` is the time",
    "sort": "rego-cpp sorts numbers as texts; what a layer states needs no order",
    "sum": "rego-cpp adds up what is no number",
    "sprintf": "rego-cpp puts quotes around texts that a module states; use `concat`",
    "time.clock": "`data.mesh.clock` tells the time of day of `input.now`",
    "time.parse_rfc3339_ns": "engines differ on it; `data.mesh.clock` reads `input.now`",
    "time.weekday": "`data.mesh.clock` tells the day of the week of `input.now`",
    "upper": "engines differ on letters outside ASCII; compare texts as they are",
    "max": "rego-cpp compares numbers as texts; use `every other in ... { other <= most }`",
    "min": "rego-cpp compares numbers as texts; use `every other in ... { least <= other }`",
    "opa.runtime": "a decision looks at nothing but its input",
}
