"""YAML to plain values with their places; refuses what a contract has no use for.

The document is read event by event, so that nothing is ever expanded or recursed into: aliases,
anchors, tags, duplicate keys, further documents and deep nesting are refused where they begin.
Scalars follow YAML 1.2: `no`, `on`, `1_000`, dates and numbers with leading zeros are text.
"""

import re
from dataclasses import dataclass, field

import yaml

from mesh.contracts.problems import Findings, Path, Place, Problem, clip, shown
from mesh.contracts.scalars import plain_scalar
from mesh.errors import ContractTooLarge

MAX_DOCUMENT = 512 * 1024
MAX_DEPTH = 32
MAX_VALUES = 50_000
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")


@dataclass(frozen=True, slots=True)
class Document:
    """A document's value and its places, or the problems that keep it from having one."""

    value: object
    place: Place
    problems: tuple[Problem, ...]


def check_size(size: int) -> None:
    """Refuse a document of this many bytes when it is too large. Raises ContractTooLarge."""
    if size > MAX_DOCUMENT:
        raise ContractTooLarge(
            f"The contract has {size:,} bytes; at most {MAX_DOCUMENT:,} are allowed. "
            "Describe fewer datasets in one product, or shorten descriptions and examples.",
            size=str(size),
        )


def read_document(raw: bytes) -> Document:
    """The document's value with places. Raises ContractTooLarge; all else is a problem."""
    check_size(len(raw))
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        return _unreadable(raw, error.start, "is not UTF-8; save the file as UTF-8")
    if "\0" in text:
        return _unreadable(raw, raw.index(b"\0"), "a NUL character; a contract is text")
    builder = _Builder()
    try:
        for event in yaml.parse(text, Loader=yaml.CSafeLoader):
            if not builder.take(event):
                break
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        return _failed(line, column, f"is not YAML: {error.problem or error.context}")
    except yaml.YAMLError as error:
        return _unreadable(raw, _reader_position(error), f"is not YAML: {_reader_reason(error)}")
    return builder.document()


def _failed(line: int, column: int, message: str) -> Document:
    return Document(None, Place(line, column, {}), (Problem(line, column, "", message),))


def _unreadable(raw: bytes, offset: int, message: str) -> Document:
    before = raw[:offset]
    return _failed(before.count(b"\n") + 1, offset - (before.rfind(b"\n") + 1) + 1, message)


def _reader_position(error: yaml.YAMLError) -> int:
    position = getattr(error, "position", 0)
    return position if isinstance(position, int) and position >= 0 else 0


def _reader_reason(error: yaml.YAMLError) -> str:
    return str(getattr(error, "reason", "")) or clip(str(error), 200)


@dataclass(slots=True)
class _Whole:
    """What holds the document's one value."""

    value: object = None
    place: Place = field(default_factory=lambda: Place(1, 1, {}))

    def enter(self, place: Place) -> tuple[Path, Place]:
        self.place = place
        return (), place

    def put(self, value: object) -> None:
        self.value = value


@dataclass(slots=True)
class _Sequence:
    value: list[object]
    place: Place
    path: Path

    def enter(self, place: Place) -> tuple[Path, Place]:
        index = len(self.value)
        self.place.parts[index] = place
        return (*self.path, index), place

    def put(self, value: object) -> None:
        self.value.append(value)


@dataclass(slots=True)
class _Mapping:
    """A mapping; an entry is placed at its key, which is what people look for."""

    value: dict[str, object]
    place: Place
    path: Path
    key: str | None = None

    def enter(self, _place: Place) -> tuple[Path, Place]:
        key = str(self.key)
        return (*self.path, key), self.place.parts[key]

    def put(self, value: object) -> None:
        self.value[str(self.key)] = value
        self.key = None


class _Builder:
    def __init__(self) -> None:
        self._findings = Findings()
        self._whole = _Whole()
        self._open: list[_Mapping | _Sequence] = []
        self._documents = 0
        self._values = 0
        self._duplicates = 0

    def document(self) -> Document:
        value, place = self._whole.value, self._whole.place
        if self._documents == 0:
            self._findings.add((), "the document is empty; a contract is a mapping")
        elif not isinstance(value, dict) and not self._findings:
            self._findings.add((), f"a contract is a mapping; found {shown(value)}")
        return Document(value, place, self._findings.problems(value, place))

    def take(self, event: yaml.Event) -> bool:
        """Take one event; false when reading on has no use."""
        match event:
            case yaml.DocumentStartEvent():
                self._documents += 1
                if self._documents > 1:
                    self._whole.place = _place(event)
                    self._findings.add((), "a second document; a file holds one contract")
                    return False
            case yaml.CollectionEndEvent():
                self._open.pop()
            case yaml.NodeEvent():
                inner = self._open[-1] if self._open else self._whole
                if isinstance(inner, _Mapping) and inner.key is None:
                    return self._key(inner, event)
                return self._value(inner, event)
        return True

    def _value(self, inner: _Whole | _Mapping | _Sequence, event: yaml.NodeEvent) -> bool:
        path, place = inner.enter(_place(event))
        self._values += 1
        if self._values > MAX_VALUES:
            self._findings.add(path, f"more than {MAX_VALUES:,} values; describe less in one file")
            return False
        match event:
            case yaml.ScalarEvent():
                inner.put(self._scalar(event, path))
            case yaml.MappingStartEvent():
                mapping = _Mapping({}, place, path)
                inner.put(mapping.value)
                self._open.append(mapping)
            case yaml.SequenceStartEvent():
                sequence = _Sequence([], place, path)
                inner.put(sequence.value)
                self._open.append(sequence)
            case _:
                self._findings.add(path, f"an alias (*{event.anchor}); write the value out")
                return False
        self._check_properties(event, path)
        if len(self._open) > MAX_DEPTH:
            self._findings.add(path, f"nests deeper than {MAX_DEPTH} levels")
            return False
        return not self._findings.full

    def _key(self, mapping: _Mapping, event: yaml.NodeEvent) -> bool:
        key, place = "?", _place(event)
        if not isinstance(event, yaml.ScalarEvent):
            mapping.place.parts[key] = place
            self._findings.add((*mapping.path, key), "a key is text, no collection and no alias")
            return False
        key = event.value
        if key in mapping.value:
            first = mapping.place.parts[key].line
            self._duplicates += 1
            key = f"{key} (again {self._duplicates})"
            mapping.place.parts[key] = place
            message = f"a second key of this name, the first is on line {first}; remove one"
            self._findings.add((*mapping.path, key), message)
        mapping.key = key
        mapping.place.parts[key] = place
        path = (*mapping.path, key)
        self._check_properties(event, path)
        if not isinstance(self._scalar(event, path), str):
            self._findings.add(path, "a key is text; write it in quotes")
        return not self._findings.full

    def _check_properties(self, event: yaml.NodeEvent, path: Path) -> None:
        if event.anchor is not None:
            self._findings.add(path, f"an anchor (&{event.anchor}); remove it")
        if (
            isinstance(event, yaml.ScalarEvent | yaml.CollectionStartEvent)
            and event.tag is not None
        ):
            self._findings.add(path, f"a tag ({clip(event.tag, 60)}); remove it")

    def _scalar(self, event: yaml.ScalarEvent, path: Path) -> object:
        text = event.value
        if _CONTROL.search(text):
            self._findings.add(path, "a control character; only tabs and line breaks are allowed")
        if event.style:
            return text
        try:
            return plain_scalar(text)
        except ValueError as error:
            self._findings.add(path, str(error))
            return None


def _place(event: yaml.Event) -> Place:
    mark = event.start_mark
    return Place(mark.line + 1, mark.column + 1, {}) if mark else Place(1, 1, {})
