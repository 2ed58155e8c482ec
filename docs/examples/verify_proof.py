"""Verifies what `mesh audit prove` printed: verify_proof.py PROOF.json [SHA256 of agent key]

Proves that records are in a log, not that the receipt has no others.
"""

import base64
import hashlib
import json
import sys

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey


def check(holds: bool, otherwise: str) -> None:
    if not holds:
        sys.exit(f"NOT PROVEN: {otherwise}")


with open(sys.argv[1], encoding="utf-8") as file:
    proof = json.load(file)
key = base64.b64decode(proof["public_key"])
body, signature = proof["checkpoint"].split("\n\n— ")
origin, size, root, time = body.split("\n")  # C2SP tlog-checkpoint in a signed note
check(sys.argv[2:] in ([], [hashlib.sha256(key).hexdigest()]), "another key signed it")
signed = base64.b64decode(signature.split()[1])[4:]  # the first 4 bytes only name the key
Ed25519PublicKey.from_public_bytes(key).verify(signed, f"{body}\n".encode())
places = [part["sequence"] for part in proof["records"]]
check(places != [] and places == sorted(set(places)), "no record, one twice, or out of order")
for part in proof["records"]:  # RFC 9162, 2.1.3.2: hash from the leaf up to the root
    event, place, last = json.loads(part["record"]), part["sequence"] - 1, int(size) - 1
    check(0 <= place <= last and event["sequence"] == place + 1, "it has another place")
    check(event["receipt"] == proof["receipt"], "it is of another receipt")
    node = hashlib.sha256(b"\x00" + part["record"].encode()).digest()
    for sibling in map(base64.b64decode, part["path"]):
        check(last > 0, "the path is too long")
        left = place & 1 or place == last
        node = hashlib.sha256(b"\x01" + (sibling + node if left else node + sibling)).digest()
        while left and place and not place & 1:
            place, last = place >> 1, last >> 1
        place, last = place >> 1, last >> 1
    check(not last and node == base64.b64decode(root), "the signed log does not have it")
    told = f"record {event['sequence']} ({event['type']}) was in {origin} at {time[5:]}"
    print(ascii(told)[1:-1])  # whatever it says, it moves no cursor
print(f"signed with the key {hashlib.sha256(key).hexdigest()}")
print("not proven: that the receipt has no other records")
