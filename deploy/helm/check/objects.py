"""Whether objects are what an API server takes: the schemas of Kubernetes and, cut down, those of the operators."""

import copy
import json
from functools import cache
from pathlib import Path

import jsonschema
import kubernetes_validate
import yaml
from referencing import Registry, Resource

# The oldest that the chart promises and the newest that is known here.
VERSIONS = ("1.30", "1.37")
CUSTOM = Path(__file__).with_name("custom-resources")


def problems(found):
    """What is wrong with an object, one sentence each."""
    who = f"{found.get('kind')} {found.get('metadata', {}).get('name')}"
    custom = custom_resources().get((found["apiVersion"], found["kind"]))
    if custom is not None:
        return [
            f"{who}: {'.'.join(map(str, error.absolute_path))}: {error.message}"
            for error in jsonschema.Draft202012Validator(custom).iter_errors(found)
        ]
    said = []
    for version in VERSIONS:
        validator = of_kubernetes(version, found["apiVersion"], found["kind"])
        if validator is None:
            said.append(f"{who}: Kubernetes {version} has no such kind")
            continue
        for error in validator.iter_errors(found):
            where = ".".join(map(str, error.absolute_path))
            said.append(f"{who}: Kubernetes {version}: {where}: {error.message}")
    return said


@cache
def of_kubernetes(version, api_version, kind):
    """The schema of a kind, in which a field that nobody declared is a mistake; none for an unknown kind."""
    group = api_version.split("/")[0].split(".")[0]
    name = "-".join([kind.lower(), *([group] if "/" in api_version else []), api_version.split("/")[-1]])
    path = schemas_of(version) / f"{name}.json"
    if not path.is_file():
        return None
    schema = json.loads(path.read_text())
    return jsonschema.Draft202012Validator(schema, registry=definitions(version))


@cache
def definitions(version):
    return Resource.from_contents(json.loads((schemas_of(version) / "_definitions.json").read_text())) @ Registry()


def schemas_of(version):
    folder = Path(kubernetes_validate.__file__).parent / "kubernetes-json-schema"
    return folder / f"v{version}.0-local-strict"


@cache
def custom_resources():
    """Schemas by version and kind."""
    known = {}
    for path in sorted(CUSTOM.glob("*.yaml")):
        definition = yaml.safe_load(path.read_text())["spec"]
        for version in definition["versions"]:
            key = (f"{definition['group']}/{version['name']}", definition["names"]["kind"])
            known[key] = strict(copy.deepcopy(version["schema"]["openAPIV3Schema"]))
    return known


def strict(schema):
    """As strict validation of the API server: a field that nobody declared is a mistake."""
    if schema.pop("x-kubernetes-int-or-string", False):
        schema["type"] = ["integer", "string"]
    inner = schema.get("properties", {})
    if inner and "additionalProperties" not in schema:
        schema["additionalProperties"] = False
    for each in [*inner.values(), schema.get("items"), schema.get("additionalProperties")]:
        if isinstance(each, dict):
            strict(each)
    return schema
