"""Putting modules on an OPA server and taking them off.

Over TCP with opa-python-client, which knows nothing else; on a Unix socket the same few calls of
OPA's policy API are made over a connection of our own.
"""

import http.client
import importlib
import json
from contextlib import closing
from typing import Any, Protocol

from mesh.decisions.opa_connections import OpaAddress

_SECONDS = 10.0


class ModuleRefused(Exception):
    """The server does not take a module; `problems` are OPA's own, each with its place."""

    def __init__(self, said: str, problems: list[dict[str, Any]]) -> None:
        super().__init__(said)
        self.problems = problems


class Administration(Protocol):
    """The modules of a server. What can't be asked raises an OSError."""

    def ids(self) -> set[str]:
        """The ids of every module."""

    def put(self, id_: str, text: str) -> None:
        """Add or replace a module. Raises ModuleRefused."""

    def delete(self, id_: str) -> bool:
        """Delete a module; False while another needs it."""

    def close(self) -> None:
        """Let every connection go."""


def administration(address: OpaAddress) -> Administration:
    """The administration of a server."""
    return _OverTcp(address) if address.path is None else _OverUnix(address)


class _OverTcp:
    def __init__(self, address: OpaAddress) -> None:
        # Only here: the import takes most of a second, which a program without OPA should not pay.
        opa = importlib.import_module("opa_client")
        refusals = importlib.import_module("opa_client.errors")
        self._client: Any = opa.OpaClient(address.host, address.port, retries=0, timeout=_SECONDS)
        self._upload_refused: type[Any] = refusals.RegoParseError
        self._deletion_refused: type[Exception] = refusals.DeletePolicyError

    def ids(self) -> set[str]:
        return set(self._client.get_policies_list())

    def put(self, id_: str, text: str) -> None:
        try:
            self._client.update_policy_from_string(text, id_, rego_compat=False)
        except self._upload_refused as error:
            raise ModuleRefused(str(error), error.errors or []) from None

    def delete(self, id_: str) -> bool:
        try:
            self._client.delete_policy(id_)
        except self._deletion_refused:
            return False
        return True

    def close(self) -> None:
        self._client.close_connection()


class _OverUnix:
    def __init__(self, address: OpaAddress) -> None:
        self._address = address

    def ids(self) -> set[str]:
        status, answer = self._ask("GET", "")
        if status != http.client.OK:
            raise OSError(f"OPA answered {status}")
        return {str(module["id"]) for module in answer.get("result", [])}

    def put(self, id_: str, text: str) -> None:
        status, answer = self._ask("PUT", id_, text.encode())
        if status == http.client.BAD_REQUEST:
            raise ModuleRefused(str(answer.get("message")), answer.get("errors") or [])
        if status != http.client.OK:
            raise OSError(f"OPA answered {status}")

    def delete(self, id_: str) -> bool:
        return self._ask("DELETE", id_)[0] == http.client.OK

    def close(self) -> None:
        """Nothing: each call has a connection of its own."""

    def _ask(self, method: str, id_: str, body: bytes | None = None) -> tuple[int, dict[str, Any]]:
        headers = {} if body is None else {"Content-Type": "text/plain"}
        with closing(self._address.connection(_SECONDS)) as connection:
            try:
                connection.request(method, f"/v1/policies/{id_}".rstrip("/"), body, headers)
                response = connection.getresponse()
                answer = json.loads(response.read())
            except (http.client.HTTPException, ValueError) as error:
                raise OSError(f"OPA's answer is none ({type(error).__name__})") from error
        if not isinstance(answer, dict):
            raise OSError("OPA's answer is no object")
        return response.status, answer
