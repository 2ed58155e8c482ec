"""A client process that reads the first messages of a stream, says so, and then only waits."""

import signal
import sys

import grpc

from mesh.arrow import flight_pb2 as flight
from mesh.arrow.flight_pb2_grpc import FlightServiceStub


def main(port: str, ticket: str, messages: str, authorization: str) -> None:
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        call = FlightServiceStub(channel).DoGet(
            flight.Ticket(ticket=bytes.fromhex(ticket)),
            metadata=(("authorization", authorization), ("x-mesh-purpose", "planning")),
        )
        for _ in range(int(messages)):
            next(call)
        print("reading", flush=True)
        signal.pause()


if __name__ == "__main__":
    main(*sys.argv[1:])
