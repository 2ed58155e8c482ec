"""From decisions to a plan: each dataset's source, masks, filters and pseudonym key."""

from collections.abc import Sequence

from domain_agent.enforcement.plan import DatasetPlan, Plan, plan_dataset, plan_statement
from domain_agent.pseudonyms import PseudonymKeys
from domain_agent.reads.deciding import DatasetDecision
from domain_agent.sources.reader import SourceReader
from mesh.errors import AgentNotReady, PolicyError


class Planner:
    """Plans what was allowed. Raises whatever can't be applied, before anything is read."""

    def __init__(self, domain: str, sources: SourceReader, pseudonyms: PseudonymKeys) -> None:
        self._domain, self._sources, self._pseudonyms = domain, sources, pseudonyms

    def plan(self, decisions: Sequence[DatasetDecision]) -> Plan:
        """The plan over all datasets of a statement; one over none, like `SELECT 1`, sees none."""
        if not decisions:
            return Plan(self._domain, (), ())
        return plan_statement(
            self._domain,
            [(planned, self._key(planned, made)) for made, planned in map(self._one, decisions)],
        )

    def _one(self, made: DatasetDecision) -> tuple[DatasetDecision, DatasetPlan]:
        source = self._sources.source(made.contract, made.dataset.name)
        planned = plan_dataset(
            made.contract,
            made.dataset.name,
            made.decided.decision,
            made.input.classes,
            source,
        )
        return made, planned

    def _key(self, planned: DatasetPlan, made: DatasetDecision) -> bytes | None:
        if not planned.needs_key:
            return None
        if made.agreement is None:
            raise PolicyError("pseudonyms are keyed by agreement, and there is none")
        try:
            return self._pseudonyms.key(made.agreement.id)
        except OSError as error:
            raise AgentNotReady(
                "the agent can't keep the key of this agreement's pseudonyms; "
                "its operator must look at the disk"
            ) from error
