"""What a policy's layers are, and who may change which."""

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache

from mesh.decisions.layers import with_declarations
from mesh.decisions.modules import TEST_SUFFIX
from mesh.decisions.policy import Policy
from mesh.errors import (
    DutyMissing,
    PolicyNotFound,
    PolicySecondPerson,
    PolicySuperseded,
    PolicyUnchecked,
    RequestInvalid,
)
from mesh.identity.duties import ADMIN, AUDITOR, OWNER, SECURITY, answers_for, has_any
from mesh.identity.principal import Principal
from mesh.names import is_name

LIBRARY = "library"
ORGANISATION = "organisation"
_DOMAIN = "domain"
MAX_MESSAGE = 500
_KNOWN_POLICIES = 32
PASSED = "passed"
NOT_RUN = "not_run"


@dataclass(frozen=True, slots=True)
class PolicyGates:
    """What a revision must have passed before it goes into force.

    `rehearsed`: on what every connected agent recorded. `unchecked`: some checks may not have run.
    """

    rehearsed: bool = True
    unchecked: bool = False


@dataclass(frozen=True, slots=True)
class AssembledPolicy:
    """A policy with when it last came into force."""

    policy: Policy
    revision: int
    activated: datetime


@dataclass(frozen=True, slots=True)
class ModuleSummary:
    """A module without its text."""

    path: str
    size: int
    digest: str


@dataclass(frozen=True, slots=True)
class Origin:
    """Where pushed modules come from: a commit, and whether the folder differed from it."""

    commit: str = ""
    dirty: bool = False
    message: str = ""


@dataclass(frozen=True, slots=True)
class PolicyRevision:
    """Modules that were pushed for a layer; `revision` is that of the push.

    `based_on` is what was active then, and `checks` tells for each check that it passed or was
    not run.
    """

    revision: int
    layer: str
    digest: str
    author: str
    time: datetime
    origin: Origin
    based_on: int
    checks: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class LayerState:
    """What of a layer is in force: `active` for all, but `staged` for some agents.

    Both are revisions, 0 where the layer has nothing. Agents are `domain/id`.
    """

    layer: str
    active: int = 0
    staged: int = 0
    agents: frozenset[str] = field(default=frozenset())

    def chosen(self, agent: str) -> int:
        """The revision that an agent decides with."""
        return self.staged if agent in self.agents else self.active


@dataclass(frozen=True, slots=True)
class Activation:
    """One line of a layer's history; `revision` is its own, `chosen` what it put in force."""

    revision: int
    layer: str
    chosen: int
    kind: str
    actor: str
    time: datetime
    agents: Sequence[str] = ()
    accepted: Sequence[str] = ()


def summary(path: str, text: str) -> ModuleSummary:
    """The module's size and digest, of its UTF-8 bytes."""
    content = text.encode()
    return ModuleSummary(path, len(content), hashlib.sha256(content).hexdigest())


def layer_of(domain: str) -> str:
    """The layer of a domain."""
    return f"{_DOMAIN}/{domain}"


def domain_of(layer: str) -> str | None:
    """The domain whose layer it is; None for those of the whole mesh."""
    kind, _, domain = layer.partition("/")
    return domain if kind == _DOMAIN else None


def folder_of(layer: str) -> str:
    """The folder that a layer's modules lie in."""
    return layer.partition("/")[0]


def check_layer(layer: str) -> None:
    """Refuse what is no layer that can be pushed. Raises RequestInvalid."""
    domain = domain_of(layer)
    if layer != ORGANISATION and (domain is None or not is_name(domain)):
        raise RequestInvalid(
            f"layer is {layer!r}; it is `{ORGANISATION}` or `{_DOMAIN}/<domain>`", field="layer"
        )


def check_author(principal: Principal, layer: str) -> None:
    """Refuse who may not push to a layer. Raises DutyMissing."""
    domain = domain_of(layer)
    if has_any(principal, SECURITY) or (domain is not None and answers_for(principal, domain)):
        return
    needed = SECURITY if domain is None else f"{SECURITY}, owner:{domain} or steward:{domain}"
    raise DutyMissing(f"{principal.reference} may not push to {layer}; it needs {needed}")


def check_decider(principal: Principal, layer: str) -> None:
    """Refuse who may not change what of a layer is in force. Raises DutyMissing."""
    domain = domain_of(layer)
    owns = domain is not None and f"{OWNER}:{domain}" in principal.duties
    if not has_any(principal, SECURITY) and not owns:
        needed = SECURITY if domain is None else f"{SECURITY} or owner:{domain}"
        raise DutyMissing(
            f"{principal.reference} may not change what of {layer} is in force; it needs {needed}"
        )


def check_second_person(principal: Principal, revision: PolicyRevision) -> None:
    """Refuse the author where another person has to decide. Raises PolicySecondPerson."""
    if domain_of(revision.layer) is None and principal.reference == revision.author:
        raise PolicySecondPerson(
            f"{principal.reference} pushed revision {revision.revision}; a policy of the whole"
            " organisation is activated by a second person with the duty security",
            revision=str(revision.revision),
        )


def check_supposer(principal: Principal, domain: str) -> None:
    """Refuse who may not see what others would get of a domain. Raises DutyMissing."""
    if not has_any(principal, ADMIN, AUDITOR, SECURITY) and not answers_for(principal, domain):
        raise DutyMissing(
            f"{principal.reference} may not ask what others would get of {domain}; it needs"
            f" security, auditor, admin, owner:{domain} or steward:{domain}"
        )


def check_checked(revision: PolicyRevision, *, unchecked: bool) -> None:
    """Refuse a revision of which something was not checked, unless that is allowed.

    Raises PolicyUnchecked.
    """
    missing = sorted(name for name, outcome in revision.checks.items() if outcome == NOT_RUN)
    if missing and not unchecked:
        raise PolicyUnchecked(
            f"of revision {revision.revision} was not checked: {', '.join(missing)}; give the"
            " control plane an OPA program (`policies.opa`) and push again, or set"
            " `policies.unchecked: allowed`",
            revision=str(revision.revision),
            checks=",".join(missing),
        )


def check_current(state: LayerState, expected: int) -> None:
    """Refuse a decision that rests on another state. Raises PolicySuperseded."""
    if state.active != expected:
        raise PolicySuperseded(
            f"{state.layer} is at revision {state.active} by now, not at {expected}; look again"
            " at what would change, with `mesh policy diff` and `rehearse`",
            layer=state.layer,
            active=str(state.active),
        )


def check_agents(agents: Collection[str], layer: str, known: Collection[str]) -> None:
    """Refuse a stage of agents that the layer does not reach. Raises RequestInvalid."""
    domain = domain_of(layer)
    for agent in sorted(agents):
        if agent not in known:
            raise RequestInvalid(f"there is no agent {agent}", field="agents")
        if domain is not None and not agent.startswith(f"{domain}/"):
            raise RequestInvalid(f"{agent} is no agent of {domain}", field="agents")


@lru_cache(maxsize=_KNOWN_POLICIES)
def assembled(layers: tuple[Policy | None, ...]) -> Policy:
    """The policy that agents decide with: its layers without their tests, and what they require.

    It is looked for in every text what a layer requires, so the last ones are remembered.
    """
    modules = {
        path: text
        for layer in layers
        if layer is not None
        for path, text in layer.modules.items()
        if not path.endswith(TEST_SUFFIX)
    }
    return with_declarations(modules)


def previous(history: Sequence[Activation], state: LayerState) -> int:
    """What was in force before what is, by a layer's history, newest first.

    Raises PolicyNotFound.
    """
    for past in history:
        if past.chosen != state.active and not past.agents:
            return past.chosen
    raise PolicyNotFound(f"{state.layer} has no earlier revision to go back to", layer=state.layer)
