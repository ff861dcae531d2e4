"""What an API server made of what it was sent."""

import copy

# Filled in by the server, differently each time.
ITS_OWN = {
    "metadata": ("creationTimestamp", "generation", "managedFields", "resourceVersion", "uid"),
    "spec": ("clusterIP", "clusterIPs", "healthCheckNodePort"),
}


def differences(sent, kept, path=""):
    """Where the server changed or dropped what it was sent. That it adds to it is its business."""
    if isinstance(sent, dict) and isinstance(kept, dict):
        for key, value in sent.items():
            inner = f"{path}.{key}" if path else key
            if key in kept:
                yield from differences(value, kept[key], inner)
            # Nothing, said at length.
            elif value not in (None, {}, []):
                yield f"{inner}: {value!r} is not kept"
    elif isinstance(sent, list) and isinstance(kept, list) and len(sent) <= len(kept):
        for index, (value, other) in enumerate(zip(sent, kept)):
            yield from differences(value, other, f"{path}[{index}]")
    elif sent != kept:
        yield f"{path}: {sent!r} is kept as {kept!r}"


def lasting(found):
    """An object without what differs from one creation to the next."""
    found = copy.deepcopy(found)
    for part, names in ITS_OWN.items():
        for name in names:
            found.get(part, {}).pop(name, None)
    for port in found.get("spec", {}).get("ports", []):
        port.pop("nodePort", None)
    found.pop("status", None)
    return found


SENT = {"metadata": {"name": "one", "annotations": {}}, "spec": {"replicas": 2, "ports": [{"port": 80}]}}
# What became of it, and whether that is worth telling.
PLANTED = [
    ({**SENT, "status": {"ready": 1}}, []),
    ({**SENT, "metadata": {"name": "one", "uid": "u"}}, []),
    ({**SENT, "spec": {"replicas": 2, "ports": [{"port": 80}, {"port": 81}]}}, []),
    ({**SENT, "spec": {"ports": [{"port": 80}]}}, ["spec.replicas: 2 is not kept"]),
    ({**SENT, "spec": {"replicas": 1, "ports": [{"port": 80}]}}, ["spec.replicas: 2 is kept as 1"]),
    ({**SENT, "spec": {"replicas": 2, "ports": [{"port": 81}]}}, ["spec.ports[0].port: 80 is kept as 81"]),
    ({**SENT, "spec": {"replicas": 2, "ports": []}}, ["spec.ports: [{'port': 80}] is kept as []"]),
]


def unnoticed():
    """Changes that are not told as they should be."""
    for kept, told in PLANTED:
        found = list(differences(SENT, kept))
        if found != told:
            yield f"what became {kept} is told as {found}"
    if lasting({"metadata": {"name": "one", "uid": "u"}, "status": {}}) != {"metadata": {"name": "one"}}:
        yield "two objects that were made alike are not alike"
