"""What an OPA of a domain looks up, as data: worked out here, so that its Rego only has to find it.

The documents are those that agents decide on; what an agent would not decide on is marked so.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping

from mesh.agreements.matching import CANDIDATES, precedence
from mesh.agreements.values import Agreement
from mesh.contracts.values import Contract, Dataset
from mesh.decisions.inputs import (
    agreement_document,
    class_documents,
    has_plain_texts,
    product_document,
)
from mesh.errors import PolicyError

Document = dict[str, object]


def catalog(
    domain: str,
    contracts: Iterable[Contract],
    agreements: Iterable[Agreement],
    purposes: Iterable[str],
) -> Document:
    """The domain's products by name, and its agreements by product and consumer with their rank."""
    declared = {contract.product: contract for contract in contracts}
    return {
        "agent": {"domain": domain, "id": f"opa:{domain}"},
        "purposes": sorted(purposes),
        "products": {name: _product(contract) for name, contract in declared.items()},
        "agreements": _agreements(declared, agreements),
    }


def _product(contract: Contract) -> Document:
    document = product_document(contract)
    plain = has_plain_texts(document)
    return {
        "document": document if plain else None,
        "datasets": {
            dataset.name: {"classes": _classes(contract, dataset) if plain else None}
            for dataset in contract.datasets
        },
    }


def _classes(contract: Contract, dataset: Dataset) -> list[Document] | None:
    """The column classes; None where agents decide on nothing."""
    try:
        classes = class_documents(contract, dataset)
    except PolicyError:
        return None
    return classes if has_plain_texts({"classes": classes}) else None


def _agreements(declared: Mapping[str, Contract], agreements: Iterable[Agreement]) -> Document:
    found: defaultdict[str, defaultdict[str, list[Document]]]
    found = defaultdict(lambda: defaultdict(list))
    candidates = (one for one in agreements if one.state in CANDIDATES)
    for rank, agreement in enumerate(sorted(candidates, key=precedence)):
        contract = declared.get(agreement.product)
        if contract is not None:
            entry = {"rank": rank, **_agreement(agreement, contract)}
            found[agreement.product][agreement.consumer].append(entry)
    return {product: dict(by_consumer) for product, by_consumer in found.items()}


def _agreement(agreement: Agreement, contract: Contract) -> Document:
    try:
        document = agreement_document(agreement, contract)
    except PolicyError:
        return {"state": "roleless", "document": None}
    if not has_plain_texts({"agreement": document}):
        return {"state": "undecidable", "document": None}
    return {"state": "decidable", "document": document}
