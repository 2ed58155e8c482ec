"""What the control plane reads from Kafka and writes to it, as long as it runs."""

from collections.abc import Callable
from datetime import datetime

from control_plane.agents import store as agents
from control_plane.audit.arrivals import AgentName
from control_plane.audit.indexer import Indexer, UsageTopic
from control_plane.audit.indexing import Indexing, Patience
from control_plane.audit.rebuilding import Rebuilt, rebuild
from control_plane.database import Database, Transaction, migrate, open_database
from control_plane.outbox.relay import ChangesTopic, Relay
from control_plane.settings import Settings, SettingsInvalid, TopicSettings
from control_plane.state import locked_state
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

        indexing = Indexing(vault, enrolled, Patience())
        self._indexer = Indexer(_usage(settings), database, indexing, clock)
        changes = ChangesTopic(settings, settings.changes_topic, f"control-plane-{replica}")
        self._relay = Relay(database, changes, replica, clock)

    def start(self) -> None:
        self._indexer.start()
        self._relay.start()

    def stop(self) -> None:
        """Stop both; what is under way is finished or done again at the next start."""
        self._indexer.stop()
        self._relay.stop()


def rebuild_audit(settings: Settings) -> Rebuilt:
    """Prepare the audit to be made again from the topic; serving then does it.

    Raises SettingsInvalid without a topic, ControlUnavailable when it can't be read.
    """
    if settings.kafka is None:
        raise SettingsInvalid("there is no topic to rebuild the audit from: set kafka.brokers")
    with locked_state(settings.state):
        engine = open_database(settings.state / "control.db", settings.database)
        try:
            migrate(engine)
            return rebuild(_usage(settings.kafka), Database(engine, lambda _: None))
        finally:
            engine.dispose()


def _usage(settings: TopicSettings) -> UsageTopic:
    return UsageTopic(settings, settings.usage_topic, settings.group)
