"""The chart, rendered by the Helm that a Python package brings along: no cluster and no network."""

import json
import os
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import yaml
from helm_python import Chart, lint as helm_lint, values_from_yaml

ROOT = Path(__file__).resolve().parents[3]
FOLDER = ROOT / "deploy" / "helm" / "tributary"
RELEASE, NAMESPACE = "stream", "billing"


class Rendered(NamedTuple):
    """A case of the matrix: the values it was given, and what became of them."""

    name: str
    values: dict
    objects: list
    notes: str

    def of_kind(self, kind):
        return [found for found in self.objects if found["kind"] == kind]

    def named(self, kind, name):
        return next(found for found in self.of_kind(kind) if found["metadata"]["name"] == name)


def load():
    with quiet():
        return Chart.load(FOLDER)


@contextmanager
def quiet():
    """Helm writes to the terminal that it follows symbolic links, which is how the chart reads what is not its own, and
    that a rollback brings back what was removed."""
    before = os.dup(2)
    with open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(before, 2)
        os.close(before)


def values_of(path):
    """Values as Helm itself reads them: its YAML knows no dates."""
    return values_from_yaml(Path(path).read_text())


def render(chart, name, values):
    objects, notes = [], ""
    for template, text in sorted(chart.render(values, name=RELEASE, namespace=NAMESPACE).items()):
        if template.endswith("NOTES.txt"):
            notes = text
        else:
            objects += [document for document in yaml.load_all(text, Loader=Strict) if document]
    return Rendered(name, values, objects, notes)


def lint(case):
    """What Helm itself has to say against the chart with these values; that it has no icon does not count."""
    with quiet():
        report = helm_lint(FOLDER, case.values, strict=True, namespace=NAMESPACE, kube_version="v1.30.0")
    return [message["error"] for message in report["messages"] if message["severity"] > 1]


def cases(chart):
    """The matrix: every file of values below ci/."""
    for path in sorted((FOLDER / "ci").glob("*-values.yaml")):
        yield render(chart, path.name.removesuffix("-values.yaml"), values_of(path))


class Strict(yaml.CSafeLoader):
    """YAML as the API server takes it: a key that is there twice is a mistake."""

    def construct_mapping(self, node, deep=False):
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        twice = {json.dumps(key) for key in keys if keys.count(key) > 1}
        if twice:
            raise yaml.constructor.ConstructorError(
                None, None, f"twice: {', '.join(sorted(twice))}", node.start_mark
            )
        return super().construct_mapping(node, deep)


# As YAML 1.2 has it: a time is text.
Strict.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.CSafeLoader.yaml_implicit_resolvers.items()
}
