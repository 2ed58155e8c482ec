"""The airline's mesh, left up to be tried: `make run`."""

import signal
import sys
import tempfile
from pathlib import Path

from examples.airline.processes import (
    Mesh,
    ProcessFailed,
    start_airline,
    terminated_like_interrupted,
)

GUIDE = """
The airline's mesh is up. In another terminal:

  export MESH_SERVER={server} MESH_TOKEN={token}
  {mesh} product list
  {mesh} access request operations.flights --role analyst --purpose delay-analysis \\
      --justification "trying it out"
  {mesh} access approve AGREEMENT          # as its owner: export MESH_TOKEN={owner}
  {mesh} query "SELECT carrier, avg(dep_delay) FROM flights GROUP BY 1 ORDER BY 2" \\
      --domain operations --purpose delay-analysis

From Python (pip install adbc-driver-flightsql pyarrow):

  import adbc_driver_flightsql.dbapi as flightsql
  # TOKEN is what `mesh token issue --domain operations` prints
  kwargs = {{"adbc.flight.sql.authorization_header": "Bearer TOKEN",
            "adbc.flight.sql.rpc.call_header.x-mesh-purpose": "delay-analysis"}}
  with flightsql.connect("{uri}", db_kwargs=kwargs, autocommit=True) as c, c.cursor() as q:
      q.execute("SELECT * FROM flights LIMIT 5"); print(q.fetch_arrow_table())

From DBeaver or JDBC (Arrow Flight SQL driver):

  jdbc:arrow-flight-sql://{address}?useEncryption=false&token=TOKEN&x-mesh-purpose=delay-analysis

Ctrl-C ends it.
"""


def main() -> None:
    """Bring the mesh up, say how to use it, wait for an interrupt."""
    try:
        with (
            terminated_like_interrupted(),
            tempfile.TemporaryDirectory(prefix="meshwarden-") as folder,
            Mesh(Path(folder)) as mesh,
        ):
            start_airline(mesh)
            uri = mesh.agents["operations"].ready
            sys.stdout.write(
                GUIDE.format(
                    server=mesh.server,
                    token=mesh.token("ana", teams=["planning"]),
                    owner=mesh.token("omar", duties=["owner:operations"]),
                    mesh=Path(sys.executable).with_name("mesh"),
                    uri=uri,
                    address=uri.partition("://")[2],
                )
            )
            sys.stdout.flush()
            signal.pause()
    except ProcessFailed as failure:
        sys.exit(str(failure))
    except KeyboardInterrupt:
        sys.exit(0)


if __name__ == "__main__":
    main()
