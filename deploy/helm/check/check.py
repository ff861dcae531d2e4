"""Judges the chart, or writes those of its files that are made from others.

    check.py check          everything that can be said without a cluster
    check.py write          values.schema.json and the table in README.md
    check.py matrix         prints every case of the matrix as JSON: its objects by its name
    check.py render FILE    prints the objects that a file of values makes, as JSON
"""

import json
import sys
from itertools import chain

import agreement
import chart
import faults
import network
import objects
import pages
import pods
import stored
import values_schema

# What has more keys than values.yaml sets.
OPEN = ("resources", "updateStrategy", "startup", "liveness", "readiness", "additionalAcls")
SCHEMA, README = chart.FOLDER / "values.schema.json", chart.FOLDER / "README.md"


def check():
    loaded = chart.load()
    found = [*stale(), *agreement.one_file(), *(f"values.yaml says nothing of {key}" for key in pages.undocumented())]
    found += [f"values.schema.json: {key}" for key in unlike(values_schema.schema(), loaded.values)]
    cases = list(chart.cases(loaded))
    for case in cases:
        found += [f"{case.name}: {problem}" for problem in [*judge(case), *chart.lint(case)]]
    everything = next(case for case in cases if case.name == "everything")
    found += chain(faults.accepted(loaded), faults.unnoticed(loaded, everything), stored.unnoticed())
    for problem in found:
        print(problem, file=sys.stderr)
    planted = sum(map(len, (faults.REFUSED, faults.POD_FAULTS, faults.OBJECT_FAULTS, faults.RELEASE_FAULTS)))
    print(f"{len(cases)} cases, {sum(len(case.objects) for case in cases)} objects, {planted} planted faults")
    return 1 if found else 0


def judge(case):
    for found in case.objects:
        yield from objects.problems(found)
    for name, _, spec in pods.templates(case.objects):
        yield from pods.problems(name, spec)
    yield from network.problems(case)
    yield from agreement.problems(case)
    if "helm test stream --namespace billing" not in case.notes:
        yield "the notes do not say how to test the release"


def made():
    """Files that are made from others, with what they should hold."""
    return {SCHEMA: values_schema.text(), README: pages.readme()}


def stale():
    for path, text in made().items():
        if not path.exists() or path.read_text() != text:
            yield f"{path.relative_to(chart.ROOT)} is out of date: run cargo xtask chart --write"


def unlike(schema, values, path=()):
    """Keys that only one of schema and values.yaml knows, as far as both are the chart's own."""
    if not isinstance(values, dict) or schema.get("additionalProperties", True) is not False:
        return
    # The binaries' own configuration is compared with their page.
    if path and (path[0] == "config" or path[-1] in OPEN):
        return
    for key in set(schema["properties"]) ^ set(values):
        yield ".".join([*path, key])
    for key in set(schema["properties"]) & set(values):
        yield from unlike(schema["properties"][key], values[key], (*path, key))


def write():
    for path, text in made().items():
        path.write_text(text)
    return 0


def matrix():
    json.dump({case.name: case.objects for case in chart.cases(chart.load())}, sys.stdout)
    return 0


def render(path):
    json.dump(chart.render(chart.load(), path, chart.values_of(path)).objects, sys.stdout)
    return 0


COMMANDS = {"check": check, "write": write, "matrix": matrix, "render": render}

if __name__ == "__main__":
    sys.exit(COMMANDS[sys.argv[1]](*sys.argv[2:]))
