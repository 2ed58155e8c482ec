"""The newest bundle of each domain, built once for each revision."""

import threading
from collections import defaultdict
from collections.abc import Callable
from datetime import datetime

from control_plane.agents.feed import REMEMBERED
from control_plane.agreements import store as agreements
from control_plane.contracts import store as contracts
from control_plane.database import Database, Transaction
from control_plane.identity.keys import BundleKey
from control_plane.opa.bundles import Bundle, build_bundle
from control_plane.opa.catalog import catalog
from control_plane.policies import store as policies
from control_plane.purposes import store as purposes
from control_plane.timeline import store as timeline
from mesh.decisions.policy import Policy
from mesh.errors import PolicyNotFound


class BundleSource:
    """Builds and remembers. Thread-safe; it blocks, so it is asked in threads."""

    def __init__(
        self, database: Database, lookup: Policy, key: BundleKey, clock: Callable[[], datetime]
    ) -> None:
        self._database, self._lookup, self._key, self._clock = database, lookup, key, clock
        self._newest: dict[str, tuple[int, int, Bundle]] = {}
        self._locks: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)

    def bundle(self, domain: str, known_revision: int | None = None) -> Bundle:
        """The domain's bundle, which misses no change up to `known_revision`.

        Without one the database is asked, so that no replica hands out less than another did.
        Raises PolicyNotFound while no policy is active.
        """
        with self._locks[domain]:
            newest = self._newest.get(domain)
            if newest is not None and known_revision is not None and newest[0] >= known_revision:
                return newest[2]
            with self._database.reading() as tx:
                checked = timeline.heads(tx).revision
                revision = timeline.distributed_revision(tx, domain)
                if newest is not None and newest[1] == revision:
                    bundle = newest[2]
                else:
                    bundle = self._built(tx, domain, revision)
            self._newest[domain] = (checked, revision, bundle)
            return bundle

    def _built(self, tx: Transaction, domain: str, revision: int) -> Bundle:
        found = catalog(
            domain,
            [published.contract for published in contracts.products(tx, domain)],
            agreements.enforceable(tx, domain, self._clock() - REMEMBERED),
            purposes.ids(tx),
        )
        policy = _policy_of(tx, domain)
        return build_bundle(domain, revision, policy, self._lookup, found, self._key)


def _policy_of(tx: Transaction, domain: str) -> Policy:
    """The policy that the domain's agents decide with."""
    in_force = policies.in_force(tx, domain)
    if in_force is None:
        raise PolicyNotFound("no policy is in force yet, so there is no bundle", digest="")
    return in_force
