"""The process that runs rego-cpp, which can crash or hang on some policies and inputs.

The kernel ends the process when a request used up its CPU time, whatever rego-cpp does then.
"""

import json
import os
import re
import resource
import signal
from functools import lru_cache
from json.encoder import encode_basestring
from multiprocessing.connection import Connection
from typing import Any

from regopy import Bundle, Interpreter, LogLevel, RegoError, rego_shared

from mesh.decisions.regopy_protocol import FAILED, LOAD, RESULT, UNDEFINED, Limits

_INT64 = range(-(2**63), 2**63)
_library = rego_shared.rego
_string, _null = _library.regoInputString, _library.regoInputNull
_boolean, _integer = _library.regoInputBoolean, _library.regoInputInt
_number, _array = _library.regoInputFloat, _library.regoInputArray
_object, _item = _library.regoInputObject, _library.regoInputObjectItem
_ERROR = re.compile(r"\(error \d+:([^|(]*)\|(\d+)\|\d+\s*\(errormsg \d+:([^)]*)\)")


def run(connection: Connection, limits: Limits) -> None:
    """Serve requests until the other side closes the connection."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # A core file would hold the inputs of decisions, and those name people.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    loaded: _Loaded | None = None
    while True:
        try:
            request = connection.recv_bytes()
        except EOFError:
            return
        if request[:1] == LOAD:
            signal.setitimer(signal.ITIMER_PROF, limits.load)
            try:
                loaded = _Loaded(**json.loads(request[1:]))
                reply = RESULT
            except (RegoError, ValueError) as error:
                reply = FAILED + str(error).encode()
        else:
            signal.setitimer(signal.ITIMER_PROF, limits.evaluate)
            entrypoint, _, document = request[1:].partition(b"\0")
            try:
                reply = loaded.evaluate(entrypoint.decode(), document) if loaded else FAILED
            except (RegoError, ValueError):
                reply = FAILED
        connection.send_bytes(reply)


class _Loaded:
    """Modules built once for their entrypoints."""

    def __init__(self, modules: dict[str, str], entrypoints: list[str], strict: bool) -> None:
        self._interpreter = Interpreter()
        self._interpreter.log_level = LogLevel.NONE
        self._interpreter.strict_built_in_errors = strict
        try:
            for path in sorted(modules):
                self._interpreter.add_module(path, modules[path])
            self._bundle: Bundle = self._interpreter.build(None, entrypoints)
        except RegoError as error:
            raise ValueError(_problems(str(error), modules)) from None
        if not self._bundle.ok():
            raise ValueError("the modules do not build")
        # The first evaluation is the slowest; it belongs to loading.
        self.evaluate(entrypoints[0], b"{}")

    def evaluate(self, entrypoint: str, document: bytes) -> bytes:
        implementation = self._interpreter._impl
        value = _native(json.loads(document))
        rego_shared.rego_set_input(implementation, value)
        rego_shared.rego_free_input(value)
        output = rego_shared.rego_bundle_query_entrypoint(
            implementation, self._bundle._impl, entrypoint
        )
        try:
            if not rego_shared.rego_output_ok(output):
                return FAILED
            text = rego_shared.rego_output_string(output)
        finally:
            rego_shared.rego_free_output(output)
        return UNDEFINED if text == "undefined" else RESULT + text.encode()


def _native(document: object) -> object:
    """The input as rego-cpp holds it: its strings are JSON's, escaped, and end at a NUL.

    `regopy.Input` hands over strings unescaped, so that `"` breaks the output and a NUL cuts.
    """
    value = rego_shared.rego_new_input()
    try:
        _add(value, document)
    except BaseException:
        rego_shared.rego_free_input(value)
        raise
    return value


def _add(value: object, item: Any) -> None:
    """Append an item, commonest kinds first; called a hundred times for one decision."""
    kind = type(item)
    if kind is str:
        failed = _string(value, _escaped(item))
    elif kind is dict:
        for key, part in item.items():
            _string(value, _key(key))
            _add(value, part)
            _item(value)
        failed = _object(value, len(item))
    elif kind is list:
        for part in item:
            _add(value, part)
        failed = _array(value, len(item))
    elif item is None:
        failed = _null(value)
    elif kind is bool:
        failed = _boolean(value, item)
    elif kind is int and item in _INT64:
        failed = _integer(value, item)
    else:
        failed = _number(value, item) if kind is float else True
    if failed:
        raise ValueError("the input holds what rego-cpp can't")


def _escaped(text: str) -> bytes:
    return encode_basestring(text)[1:-1].encode()


# Inputs have the same few keys, again and again.
_key = lru_cache(maxsize=256)(_escaped)


def _problems(error: str, modules: dict[str, str]) -> str:
    """`path:line: what`, from rego-cpp's dump of its syntax tree."""
    found = [
        f"{path}:{modules[path].encode()[: int(offset)].count(10) + 1}: {what}"
        for path, offset, what in _ERROR.findall(error)
        if path in modules
    ]
    return "; ".join(dict.fromkeys(found)) or "the modules do not build"
