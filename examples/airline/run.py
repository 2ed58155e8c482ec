"""The airline's mesh, left up to be tried: `make run`."""

import os
import signal
import sys
import tempfile
from pathlib import Path

from examples.airline.backing import backed_mesh
from examples.airline.processes import (
    Mesh,
    ProcessFailed,
    start_airline,
    terminated_like_interrupted,
)

GUIDE = """
The airline's mesh is up. In another terminal you are ana; omar owns operations, ada audits:

  export MESH_CONFIG={config} PATH={programs}:$PATH

  mesh product list
  mesh product show operations.flights
  mesh access request operations.flights --role analyst --purpose delay-analysis \\
    --justification "trying it out"
  mesh --context omar access approve AGREEMENT
  mesh query "SELECT carrier, avg(dep_delay) FROM flights GROUP BY 1 ORDER BY 2" \\
    --domain operations --purpose delay-analysis
  mesh why RECEIPT
  mesh --context ada audit list

From Python, with TOKEN from `mesh token issue --domain operations`:

  import adbc_driver_flightsql.dbapi as flightsql
  who = {{"adbc.flight.sql.authorization_header": "Bearer TOKEN",
         "adbc.flight.sql.rpc.call_header.x-mesh-purpose": "delay-analysis"}}
  with flightsql.connect("{uri}", who, autocommit=True) as c, c.cursor() as q:
      q.execute("SELECT * FROM flights LIMIT 5"); print(q.fetch_arrow_table())

From DBeaver or JDBC (Arrow Flight SQL driver):

  jdbc:arrow-flight-sql://{address}?useEncryption=false&x-mesh-purpose=delay-analysis&token=TOKEN

Ctrl-C ends it.
"""


def write_contexts(mesh: Mesh) -> None:
    """The people of the tour as contexts of the command line; ana's is the one in use."""
    people = {
        "ana": mesh.token("ana", teams=["planning"]),
        "omar": mesh.token("omar", duties=["owner:operations"]),
        "ada": mesh.token("ada", duties=["auditor"]),
    }
    for name, token in people.items():
        file = mesh.folder / f"{name}.token"
        file.write_text(token)
        options = ("--server", mesh.server, "--token-file", str(file))
        mesh.mesh(token, "context", "set", name, *options)
    mesh.mesh(people["ana"], "context", "use", "ana")


def main() -> None:
    """Bring the mesh up, say how to use it, wait for an interrupt."""
    try:
        with (
            terminated_like_interrupted(),
            tempfile.TemporaryDirectory(prefix="meshwarden-") as folder,
            backed_mesh(Path(folder), os.environ) as backing,
        ):
            mesh = backing.mesh
            mesh.start_control_plane()
            start_airline(mesh)
            write_contexts(mesh)
            uri = mesh.agents["operations"].ready
            sys.stdout.write(
                GUIDE.format(
                    config=mesh.config,
                    programs=Path(sys.executable).parent,
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
