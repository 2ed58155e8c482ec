"""The processes that run DuckDB, and the agent's end of them.

`process` and what it imports runs in the worker; `pool` and what it imports in the agent.
"""
