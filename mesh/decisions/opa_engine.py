"""The engine outside: a running OPA server, loaded through its REST API.

Modules are uploaded under a package prefix of this engine and of the policy's digest. So a new
policy is complete before the first decision with it, a bad one leaves the old untouched, and
several engines can share one server.
"""

import http.client
import json
import logging
import re
import threading
from collections.abc import Callable
from typing import TypeVar

from mesh.decisions.engines import ACCESS_ENTRYPOINT, DEADLINE
from mesh.decisions.modules import check_data, names_data, package_span
from mesh.decisions.opa_administration import ModuleRefused, administration
from mesh.decisions.opa_connections import opa_address
from mesh.decisions.policy import Policy
from mesh.errors import PolicyError, PolicyInvalid

_log = logging.getLogger(__name__)
_INSTANCE = re.compile(r"[a-z][a-z0-9_]*")
_PATH = re.compile(r"[a-z0-9_/-]+\.rego")
_PREFIX = re.compile(r"meshwarden\.[a-z0-9_]+\.p[0-9a-f]{64}\.")
_PATIENCE = 20
_T = TypeVar("_T")


class OpaEngine:
    """Evaluates on a server at `http://host:port` or `unix:///path`, over lasting connections.

    `instance` tells apart the engines that share a server. The server's CPU time can't be seen
    from here, so a decision is late after twenty deadlines on the wall's clock, as for the
    embedded engine.
    """

    name = "opa"

    def __init__(
        self,
        url: str,
        entrypoint: str = ACCESS_ENTRYPOINT,
        deadline: float = DEADLINE,
        instance: str = "mesh",
    ) -> None:
        if _INSTANCE.fullmatch(instance) is None:
            raise ValueError(f"an instance is a lower-case name with _; found {instance!r}")
        self._address = opa_address(url)
        self._entrypoint, self._instance = entrypoint, instance
        self._timeout = deadline * _PATIENCE
        self._server = administration(self._address)
        self._loading = threading.Lock()
        self._policy: Policy | None = None
        self._idle: list[http.client.HTTPConnection] = []

    def load(self, policy: Policy) -> None:
        with self._loading:
            modules = {
                self._id(policy, path): self._prefixed(policy, path) for path in policy.modules
            }
            self._administer(lambda: self._upload(modules))
            self._policy = policy
            self._administer(lambda: self._remove_others(policy))

    def evaluate(self, document: bytes) -> object:
        policy = self._policy
        if policy is None:
            raise PolicyError("no policy is loaded, so nothing is allowed")
        path = f"/v1/data/{self._prefix(policy).replace('.', '/')}/{self._entrypoint}"
        body = b'{"input":' + document + b"}"
        status, answer = self._post(f"{path}?strict-builtin-errors=true", body)
        if status != http.client.OK:
            raise PolicyError("the policy could not decide: it failed on this input")
        try:
            result: dict[str, object] = json.loads(answer)
        except ValueError:
            raise PolicyError("the policy could not decide: OPA's answer is not JSON") from None
        if "result" not in result:
            self._restore(policy)
            raise PolicyError("the policy could not decide: it is undefined for this input")
        return result["result"]

    def close(self) -> None:
        """Remove this engine's modules from the server and close every connection."""
        with self._loading:
            policy, self._policy = self._policy, None
            try:
                if policy is not None:
                    self._administer(lambda: self._remove_others(None))
            except PolicyError as error:
                _log.warning("modules stay on the OPA server: %s", error.message)
            self._server.close()
            while self._idle:
                self._idle.pop().close()

    def _post(self, path: str, body: bytes) -> tuple[int, bytes]:
        """Send over an idle connection; one that the server closed meanwhile is replaced."""
        while True:
            try:
                connection, reused = self._idle.pop(), True
            except IndexError:
                connection, reused = self._address.connection(self._timeout), False
            try:
                connection.request("POST", path, body, {"Content-Type": "application/json"})
                response = connection.getresponse()
                answer = response.status, response.read()
            except TimeoutError:
                connection.close()
                raise PolicyError(
                    f"the policy could not decide: OPA took more than {self._timeout:g} s"
                ) from None
            except (OSError, http.client.HTTPException) as error:
                connection.close()
                if reused:
                    continue
                raise PolicyError(f"the policy could not decide: {self._lost(error)}") from None
            self._idle.append(connection)
            return answer

    def _restore(self, policy: Policy) -> None:
        """Load again what a restarted server forgot; an undefined decision may tell of that."""
        with self._loading:
            held = self._administer(self._server.ids)
            if self._policy is not policy:
                return
            wanted = {
                self._id(policy, path): self._prefixed(policy, path) for path in policy.modules
            }
            if not wanted.keys() <= held:
                _log.warning("the OPA server lost the policy; loading it again")
                self._administer(lambda: self._upload(wanted))

    def _upload(self, modules: dict[str, str]) -> None:
        """Put every module; one that needs another's functions is put again after it."""
        waiting = dict(sorted(modules.items()))
        while waiting:
            refused: dict[str, str] = {}
            problems: list[str] = []
            for id_, text in waiting.items():
                try:
                    self._server.put(id_, text)
                except ModuleRefused as error:
                    refused[id_] = text
                    problems.append(_problem(id_, error))
            if len(refused) == len(waiting):
                self._remove(set(modules))
                raise PolicyInvalid("the policy does not compile: " + "; ".join(problems))
            waiting = refused

    def _remove_others(self, kept: Policy | None) -> None:
        ids = set() if kept is None else {self._id(kept, path) for path in kept.modules}
        held = self._server.ids()
        self._remove({id_ for id_ in held if id_.startswith(f"{self._root}/")} - ids)

    def _remove(self, ids: set[str]) -> None:
        """Delete modules; one whose functions another uses is deleted after that one."""
        waiting = ids & self._server.ids()
        while waiting:
            kept = {id_ for id_ in sorted(waiting) if not self._server.delete(id_)}
            if kept == waiting:
                _log.warning("modules stay on the OPA server: %s", ", ".join(sorted(kept)))
                return
            waiting = kept

    def _administer(self, action: Callable[[], _T]) -> _T:
        try:
            return action()
        except OSError as error:  # what requests raises is an OSError
            raise PolicyError(self._lost(error)) from None

    def _lost(self, error: Exception) -> str:
        return f"OPA at {self._address} can't be asked ({type(error).__name__})"

    @property
    def _root(self) -> str:
        return f"meshwarden/{self._instance}"

    def _prefix(self, policy: Policy) -> str:
        return f"meshwarden.{self._instance}.p{policy.digest}"

    def _id(self, policy: Policy, path: str) -> str:
        if _PATH.fullmatch(path) is None:
            raise PolicyInvalid(f"a module's path is lower case and ends in .rego; found {path!r}")
        return f"{self._root}/{policy.digest}/{path}"

    def _prefixed(self, policy: Policy, path: str) -> str:
        """The module's text with its package, and all it refers to, below the prefix."""
        text, prefix = policy.modules[path], self._prefix(policy)
        check_data(path, text)
        places = [position + len("data.") for position, _ in names_data(text)]
        places.append(package_span(path, text)[0])
        for position in sorted(places, reverse=True):
            text = f"{text[:position]}{prefix}.{text[position:]}"
        return text


def _problem(id_: str, error: ModuleRefused) -> str:
    """`path:line: what`, with names as the module has them."""
    path = id_.split("/", 3)[3]
    said = "; ".join(
        f"{one.get('location', {}).get('row')}: {one.get('message')}" for one in error.problems
    )
    return f"{path}:{_PREFIX.sub('', said) or error}"
