"""Rehearsals, and whether one lets a revision go into force. Pure."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from mesh.decisions.findings import Finding, gains, grouped
from mesh.errors import PolicyExposes, PolicyUnrehearsed

_TOLD = 5
_UNDER_WAY = timedelta(minutes=2)


@dataclass(frozen=True, slots=True)
class AgentRehearsal:
    """How an agent does: `digest` is the candidate's, `base` that of what it decided with."""

    agent: str
    digest: str
    base: str
    reported: bool = False
    distinct: int = 0
    reads: int = 0
    unreadable: int = 0
    more: int = 0
    problem: str = ""
    findings: Sequence[Finding] = field(default=())


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """A revision on what agents recorded."""

    id: str
    revision: int
    starter: str
    started: datetime
    agents: Sequence[AgentRehearsal] = field(default=())

    def is_under_way(self, now: datetime) -> bool:
        """Whether an agent may still report on it: agents take one after the other."""
        return now - self.started < _UNDER_WAY and not all(one.reported for one in self.agents)

    @property
    def findings(self) -> list[Finding]:
        """Those of all agents, worst first."""
        return grouped(one for agent in self.agents for one in agent.findings)


@dataclass(frozen=True, slots=True)
class Reached:
    """An agent that a revision would reach; digests of its policy with it and without."""

    agent: str
    connected: bool
    digest: str
    base: str


def check_rehearsed(
    rehearsal: Rehearsal | None, revision: int, reached: Sequence[Reached]
) -> Rehearsal:
    """The rehearsal, when it tells what would happen now on every connected agent.

    Raises PolicyUnrehearsed.
    """
    if rehearsal is None:
        raise PolicyUnrehearsed(
            f"revision {revision} was not rehearsed; `mesh policy rehearse {revision}` shows who"
            " would gain or lose what",
            revision=str(revision),
        )
    known = {one.agent: one for one in rehearsal.agents}
    missing = [one.agent for one in reached if one.connected and not _told(known, one)]
    if missing:
        raise PolicyUnrehearsed(
            f"revision {revision} was not rehearsed against what is in force now by"
            f" {', '.join(missing[:_TOLD])}; `mesh policy rehearse {revision}` asks again",
            revision=str(revision),
            agents=",".join(missing),
        )
    return rehearsal


def _told(known: dict[str, AgentRehearsal], reached: Reached) -> bool:
    one = known.get(reached.agent)
    if one is None or not one.reported or one.problem:
        return False
    return (one.digest, one.base) == (reached.digest, reached.base)


def check_accepted(rehearsal: Rehearsal, accepted: Collection[str]) -> None:
    """Refuse what shows somebody more than before, unless it was accepted by its id.

    Raises PolicyExposes.
    """
    open_ = [one for one in gains(rehearsal.findings) if one.id not in accepted]
    more = sum(agent.more for agent in rehearsal.agents)
    if not open_ and not more:
        return
    told = [in_words(one) for one in open_[:_TOLD]]
    if len(open_) > _TOLD:
        told.append(f"{len(open_) - _TOLD} more")
    if more:
        told.append(f"{more} findings that agents had no room to tell")
    raise PolicyExposes(
        f"revision {rehearsal.revision} would show more than before: {'; '.join(told)}."
        " Push a policy that does not, or name what is meant with --accept ID",
        revision=str(rehearsal.revision),
        findings=",".join(one.id for one in open_),
    )


def in_words(finding: Finding) -> str:
    """One finding in words."""
    what = f"{finding.product}.{finding.dataset}"
    if finding.columns:
        what += f" {', '.join(finding.columns)} ({finding.classification})"
    return (
        f"[{finding.id}] {finding.principal} for {finding.purpose}: {what}, {finding.before} ->"
        f" {finding.after} ({finding.reads} reads)"
    )
