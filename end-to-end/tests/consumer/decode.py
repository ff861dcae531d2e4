"""Reads the cases of a folder with the reader that stands in docs/schema.md (`reader.py`, put beside them).

A case is `<name>.bin` and the schema to read it as; what was read goes to standard output as JSON, together
with the same record written again by fastavro as a single object.
"""

import datetime
import io
import json
import pathlib
import sys

import fastavro
from fastavro.schema import fingerprint, to_parsing_canonical_form

from reader import Events

EPOCH = datetime.datetime.fromtimestamp(0, datetime.timezone.utc)


def plain(value):
    """The value as JSON can hold it: moments as milliseconds, bytes as a list of numbers."""
    if isinstance(value, dict):
        return {name: plain(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [plain(inner) for inner in value]
    if isinstance(value, datetime.datetime):
        return (value - EPOCH) // datetime.timedelta(milliseconds=1)
    if isinstance(value, bytes):
        return list(value)
    return value


def written_again(schema, record):
    print = fingerprint(to_parsing_canonical_form(schema), "CRC-64-AVRO")
    datum = io.BytesIO()
    fastavro.schemaless_writer(datum, fastavro.parse_schema(schema), record)
    return (b"\xc3\x01" + bytes.fromhex(print) + datum.getvalue()).hex()


def main(folder):
    schemas = {path.stem: json.loads(path.read_text()) for path in folder.glob("*.avsc")}
    registered = {7: schemas["newest"]}
    read = {}
    for case in json.loads((folder / "cases.json").read_text()):
        schema = schemas[case["read_as"]]
        events = Events(schema, [schemas["newest"]], registered)
        record = events.decode((folder / (case["name"] + ".bin")).read_bytes())
        read[case["name"]] = {"record": plain(record), "again": written_again(schema, record)}
    json.dump(read, sys.stdout)


main(pathlib.Path(sys.argv[1]))
