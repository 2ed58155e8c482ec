"""Prints refused reads and reads of restricted data as they happen: watch_usage.py BROKER"""

import json
import sys

from kafka import KafkaConsumer

last: dict[str, int] = {}
for record in KafkaConsumer(
    "mesh.usage.v1", bootstrap_servers=sys.argv[1], auto_offset_reset="earliest"
):
    event = {name.removeprefix("ce_"): value.decode() for name, value in record.headers}
    before, sequence = last.get(event["source"], 0), int(event["sequence"])
    if sequence <= before:  # delivered again: agents deliver at least once
        continue
    if before and sequence > before + 1:
        print(f"{event['source']} {before + 1} to {sequence - 1} MISSING", flush=True)
    last[event["source"]] = sequence
    data = json.loads(record.value)
    columns = [column for d in data.get("decisions", []) for column in d["columns"]]
    restricted = any(column["classification"] == "restricted" for column in columns)
    if event["type"].endswith(".refused.v1") or restricted:
        what = ", ".join(data.get("reasons", ["restricted columns"]))
        print(event["time"], event["source"], event["receipt"], what, flush=True)
