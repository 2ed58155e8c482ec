"""What an agent must enforce, as one immutable value read from signed entries."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from google.protobuf.message import DecodeError

from mesh.agreements.values import Agreement
from mesh.contracts.parse import read_contract
from mesh.contracts.values import Classification, Contract, strictest
from mesh.decisions.policy import Policy
from mesh.errors import AgentDigestMismatch
from mesh.snapshots.entries import entries_digest
from mesh.v1 import agents_pb2, agreements_pb2
from mesh.wire.agreements import agreement_from_proto

ContractReader = Callable[[bytes], Contract]


@dataclass(frozen=True, slots=True)
class TrustedKey:
    """A public key of the control plane: `use` is token or snapshot."""

    id: str
    public_key: bytes
    use: str


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything a decision may rest on, at one revision. Contracts are by product."""

    revision: int
    digest: bytes
    entries: Mapping[str, bytes]
    contracts: Mapping[str, Contract]
    agreements: tuple[Agreement, ...]
    purposes: frozenset[str]
    policy: Policy
    keys: tuple[TrustedKey, ...]

    def classification(self, named: Iterable[tuple[str, str]]) -> Classification:
        """The strictest of some datasets, by product and name; one that is not there is restricted.

        It does not matter which of their columns are read.
        """
        return strictest(self._class_of(product, dataset) for product, dataset in named)

    def _class_of(self, product: str, dataset: str) -> Classification:
        contract = self.contracts.get(product)
        found = contract.dataset(dataset) if contract is not None else None
        return found.classification if found is not None else Classification.RESTRICTED


def read_snapshot(
    domain: str, revision: int, digest: bytes, entries: Mapping[str, bytes], read: ContractReader
) -> Snapshot:
    """The snapshot those entries make. Raises a MeshError when they are not what was signed.

    Consistent or refused: every agreement is for a product whose contract is there, every
    contract is of the domain, and there is a policy to decide with.
    """
    if entries_digest(entries) != digest:
        raise AgentDigestMismatch(
            "the entries do not have the digest that was signed", revision=str(revision)
        )
    contracts: dict[str, Contract] = {}
    agreements: list[Agreement] = []
    purposes: set[str] = set()
    modules: dict[str, str] = {}
    keys: list[TrustedKey] = []
    for key, value in entries.items():
        kind, _, rest = key.partition("/")
        try:
            match kind:
                case "contract":
                    contract = read(value)
                    contracts[contract.product] = contract
                case "agreement":
                    agreement = agreements_pb2.Agreement.FromString(value)
                    agreements.append(agreement_from_proto(agreement))
                case "purpose":
                    purposes.add(rest)
                case "policy":
                    modules[rest] = value.decode()
                case "key":
                    trusted = agents_pb2.TrustedKey.FromString(value)
                    keys.append(TrustedKey(trusted.id, trusted.public_key, trusted.use))
                case _:
                    raise AgentDigestMismatch(f"entry {key} is of no known kind; upgrade the agent")
        except (DecodeError, ValueError) as error:
            raise AgentDigestMismatch(f"entry {key} can't be read: {error}") from error
    snapshot = Snapshot(
        revision,
        digest,
        MappingProxyType(dict(entries)),
        MappingProxyType(contracts),
        tuple(agreements),
        frozenset(purposes),
        Policy(MappingProxyType(modules)),
        tuple(keys),
    )
    _require_consistent(domain, snapshot)
    return snapshot


def _require_consistent(domain: str, snapshot: Snapshot) -> None:
    foreign = sorted(c.name for c in snapshot.contracts.values() if c.domain != domain)
    dangling = sorted(
        a.id
        for a in snapshot.agreements
        if a.domain != domain or a.product not in snapshot.contracts
    )
    if foreign or dangling or not snapshot.policy.modules:
        raise AgentDigestMismatch(
            f"revision {snapshot.revision} is inconsistent: foreign contracts {foreign}, "
            f"agreements without a contract {dangling}, {len(snapshot.policy.modules)} modules",
            revision=str(snapshot.revision),
        )


class RememberingReader:
    """Reads contracts and remembers the last ones, so that a delta parses only what is new."""

    def __init__(self) -> None:
        self._known: dict[bytes, Contract] = {}

    def __call__(self, document: bytes) -> Contract:
        contract = self._known.get(document)
        if contract is None:
            contract = read_contract(document)
            if len(self._known) >= 1_024:
                self._known.clear()
            self._known[document] = contract
        return contract
