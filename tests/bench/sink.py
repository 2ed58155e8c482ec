"""A sink of OPA's decision logs that keeps their ids: `python -m tests.bench.sink PORT FILE`."""

import gzip
import json
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path


def main(port: int, kept: Path) -> None:
    """Serve until killed; what is answered is in the file."""
    with kept.open("a") as file:

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                if self.headers.get("content-encoding") == "gzip":
                    body = gzip.decompress(body)
                file.writelines(f"{event['decision_id']}\n" for event in json.loads(body))
                file.flush()
                self.send_response(200)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:
                """Nothing: what came is in the file."""

        HTTPServer(("127.0.0.1", port), Handler).serve_forever()


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))
