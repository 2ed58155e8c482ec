"""What the control plane reads from Kafka and writes to it, as long as it runs."""

from collections.abc import Callable
from datetime import datetime

from control_plane.agents import store as agents
from control_plane.audit.arrivals import AgentName
from control_plane.audit.indexer import Indexer, UsageTopic
from control_plane.audit.indexing import Indexing, Patience
from control_plane.database import Database, Transaction
from control_plane.outbox.relay import ChangesTopic, Relay
from control_plane.settings import TopicSettings
from control_plane.vault.vault import Vault


class Topics:
    """Usage events come in, changes go out."""

    def __init__(
        self,
        settings: TopicSettings,
        database: Database,
        vault: Vault,
        replica: str,
        clock: Callable[[], datetime],
    ) -> None:
        def enrolled(tx: Transaction, name: AgentName) -> bool:
            return agents.find(tx, name.domain, name.agent, clock()) is not None

        usage = UsageTopic(settings, settings.usage_topic, settings.group)
        indexing = Indexing(vault, enrolled, Patience())
        self._indexer = Indexer(usage, database, indexing, clock)
        changes = ChangesTopic(settings, settings.changes_topic, f"control-plane-{replica}")
        self._relay = Relay(database, changes, replica, clock)

    def start(self) -> None:
        self._indexer.start()
        self._relay.start()

    def stop(self) -> None:
        """Stop both; what is under way is finished or done again at the next start."""
        self._indexer.stop()
        self._relay.stop()
