"""The Open Data Contract Standard: its official JSON schema and model, with our messages."""

import json
from collections.abc import Iterator, Mapping
from functools import cache
from importlib import resources
from itertools import islice

import pydantic
from jsonschema_rs import ValidationError, ValidationErrorKind, Validator, validator_for
from open_data_contract_standard.model import OpenDataContractStandard

from mesh.contracts.problems import Findings, Path, clip, closest, listing, shown

# Enough to fill the report many times over; a hostile document may break a rule in every byte.
MAX_ERRORS = 2_000
TYPE_MISSING = "`logicalType` is missing; for example string, integer or date"
OUTDATED = "v2."
Kind = ValidationErrorKind
Unevaluated = Kind.UnevaluatedProperties
_TYPES = {
    "string": "text",
    "array": "a list",
    "object": "a mapping",
    "boolean": "true or false",
    "integer": "a whole number",
    "number": "a number",
    "null": "empty",
}


def check_odcs(value: object, findings: Findings) -> None:
    """Note every breach of the standard, by its schema and then by its model."""
    errors = list(islice(_validator().iter_errors(value), MAX_ERRORS))
    unevaluated = [(e, e.kind.unexpected) for e in errors if isinstance(e.kind, Unevaluated)]
    for error in errors:
        if not isinstance(error.kind, Unevaluated):
            _note(error, findings)
    # An error inside an element makes its keys count as unevaluated too: only a key that the
    # standard declares nowhere for the element is unknown; what is left over is misplaced.
    for error, keys in unevaluated:
        _note_unknown(error, keys, findings)
    for error, keys in sorted(unevaluated, key=lambda pair: -len(pair[0].instance_path)):
        path: Path = tuple(error.instance_path)
        if not findings.at_or_below(path):
            for key in keys:
                findings.add((*path, key), f"`{clip(key, 80)}` does not fit this kind of element")
    if errors and not findings:
        findings.add((), "breaks the Open Data Contract Standard")
    if not errors:
        _check_model(value, findings)


def _check_model(value: object, findings: Findings) -> None:
    try:
        OpenDataContractStandard.model_validate(value)
    except pydantic.ValidationError as error:
        for entry in error.errors(include_url=False, include_context=False, include_input=False):
            findings.add(tuple(entry["loc"]), clip(entry["msg"], 200))


@cache
def _schema() -> dict[str, object]:
    text = resources.files("open_data_contract_standard").joinpath("schema.json").read_text("utf-8")
    schema: dict[str, object] = json.loads(text)
    return schema


@cache
def _validator() -> Validator:
    return validator_for(_schema())


def _note(error: ValidationError, findings: Findings) -> None:
    path: Path = tuple(error.instance_path)
    match error.kind:
        case Kind.AdditionalProperties():
            _note_unknown(error, error.kind.unexpected, findings)
        case Kind.Required(missing):
            # Without a logicalType the schema takes an element for a map, too.
            if missing == "map" and not _has(error.instance, "logicalType"):
                findings.add(path, TYPE_MISSING)
            else:
                findings.add(path, f"`{missing}` is missing")
        case Kind.Type(types):
            allowed = " or ".join(_TYPES.get(name, name) for name in types)
            number = isinstance(error.instance, bool | int | float)
            hint = "; write it in quotes" if "string" in types and number else ""
            findings.add(path, f"is {shown(error.instance)}; allowed is {allowed}{hint}")
        case Kind.Enum(options):
            words = [str(option) for option in options if not str(option).startswith(OUTDATED)]
            near = closest(error.instance, words) if isinstance(error.instance, str) else ""
            findings.add(path, f"is {shown(error.instance)}; allowed: {listing(words)}{near}")
        case Kind.Pattern(pattern):
            findings.add(path, f"is {shown(error.instance)}; it must match {clip(pattern, 120)}")
        case Kind.OneOfNotValid(context) | Kind.AnyOf(context) if _shaped(error, context):
            for inner in _shaped(error, context):
                _note(inner, findings)
        case _:
            findings.add(path, clip(error.message, 200))


def _shaped(error: ValidationError, context: list[list[ValidationError]]) -> list[ValidationError]:
    """Of several forms, the errors of the one whose shape the value has; none when unclear."""
    here = error.instance_path
    shaped = [
        branch
        for branch in context
        if not any(e.instance_path == here and isinstance(e.kind, Kind.Type) for e in branch)
    ]
    return shaped[0] if len(shaped) == 1 else []


def _note_unknown(error: ValidationError, keys: list[str], findings: Findings) -> None:
    path: Path = tuple(error.instance_path)
    declared = _declared(tuple(error.schema_path[:-1]))
    for key in keys:
        if findings.full:
            return
        if key not in declared:
            near = closest(key, declared) or f"; allowed: {listing(sorted(declared))}"
            findings.add((*path, key), f"unknown key `{clip(key, 80)}`{near}")


def _has(instance: object, key: str) -> bool:
    return isinstance(instance, Mapping) and key in instance


@cache
def _declared(pointer: tuple[str | int, ...]) -> frozenset[str]:
    """Every key that the subschema declares, on any condition."""
    return frozenset(_keys(_lookup(pointer), frozenset()))


def _lookup(pointer: tuple[str | int, ...]) -> object:
    node: object = _schema()
    for step in pointer:
        if isinstance(node, Mapping):
            node = node[step]
        elif isinstance(node, list):
            node = node[int(step)]
    return node


def _keys(node: object, seen: frozenset[str]) -> Iterator[str]:
    if not isinstance(node, Mapping):
        return
    properties = node.get("properties")
    if isinstance(properties, Mapping):
        yield from properties
    reference = node.get("$ref")
    if isinstance(reference, str) and reference not in seen:
        yield from _keys(
            _lookup(tuple(reference.removeprefix("#/").split("/"))), seen | {reference}
        )
    for part in ("then", "else"):
        yield from _keys(node.get(part), seen)
    for part in ("allOf", "anyOf", "oneOf"):
        branches = node.get(part)
        if isinstance(branches, list):
            for branch in branches:
                yield from _keys(branch, seen)
