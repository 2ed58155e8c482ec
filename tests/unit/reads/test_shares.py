"""One caller can't hold all workers."""

import pytest

from domain_agent.reads.shares import Shares
from mesh.errors import AgentOverloaded


def test_a_caller_holds_a_share_and_others_find_theirs() -> None:
    shares = Shares(2)
    first, second = shares.take("user:eve"), shares.take("user:eve")
    with pytest.raises(AgentOverloaded, match="2 statements"):
        shares.take("user:eve")
    shares.take("user:ana")
    first()
    first()
    third = shares.take("user:eve")
    with pytest.raises(AgentOverloaded):
        shares.take("user:eve")
    second()
    third()
    shares.take("user:eve")
    shares.take("user:eve")
