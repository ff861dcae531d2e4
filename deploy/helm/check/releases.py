"""What becomes of a release at a real API server: installed, installed again, tested, upgraded, rolled back, removed."""

import copy

from helm_python import Config, HelmError

import agreement
import chart
from stored import differences, lasting

PATIENCE = 180
# What the server says of a StatefulSet whose volumes are to be others.
FIXED = "updates to statefulset spec for fields other than"
# What an operator changes from one day to the next, on top of whatever was there.
NEXT_DAY = {
    "image": {"tag": "9.9.9"},
    "commonLabels": {"day": "next"},
    "commonAnnotations": {"example.com/day": "next"},
    "env": [{"name": "RUST_BACKTRACE", "value": "1"}],
    "config": {"kafka": {"properties": {"client.rack": "next"}}, "transform": {"workers": 5}},
    "ingest": {"podLabels": {"day": "next"}, "resources": {"limits": {"memory": "1Gi"}}},
    "transform": {"replicaCount": 4},
}


class Cluster:
    """An API server, and Helm, which talks to it by itself."""

    def __init__(self, server, kubeconfig, loaded):
        self.server, self.loaded = server, loaded
        self.helm = Config(kubeconfig_path=kubeconfig, namespace=chart.NAMESPACE, qps=1000, burst_limit=1000)

    def does(self, action, *arguments, **options):
        """Nothing, or why Helm could not."""
        try:
            with chart.quiet():
                getattr(self.helm, action)(*arguments, timeout=PATIENCE, **options)
        except HelmError as error:
            return str(error)
        return None

    def install(self, case):
        return self.does("install", self.loaded, chart.RELEASE, case.values, namespace=chart.NAMESPACE)

    def upgrade(self, case):
        return self.does("upgrade", self.loaded, chart.RELEASE, case.values, namespace=chart.NAMESPACE)

    def kept(self, case):
        """What is there of a case, by kind and name."""
        return {who(found): self.server.get(found).body for found in lasting_objects(case)}

    def left(self, case, wanted=()):
        """What is there of a case that is not wanted, and that nobody promised to keep."""
        for found in case.objects:
            if who(found) not in wanted and not keeps(found) and self.server.get(found).status != 404:
                yield f"{who(found)} is left behind"

    def remove(self, case, *others):
        """Uninstalls; says what is left that should not be, and clears everything away."""
        refusal = self.does("uninstall", chart.RELEASE)
        wrong = [f"cannot be uninstalled: {refusal}"] if refusal else []
        wrong += self.left(case)
        for found in (found for each in (case, *others) for found in each.objects):
            self.server.delete(found)
        return wrong


def who(found):
    return f"{found['kind']} {found['metadata']['name']}"


def lasting_objects(case):
    """Without those that are there while they run."""
    return [found for found in case.objects if not agreement.moment(found)]


def keeps(found):
    return found["metadata"].get("annotations", {}).get("helm.sh/resource-policy") == "keep"


def pods_of(case):
    """The pods that controllers and Helm create once the release is there."""
    for found in case.objects:
        if found["kind"] == "Pod":
            yield found
        elif found["apiVersion"] == "apps/v1":
            yield pod_of(found)


def pod_of(workload):
    """The pod that a controller makes of a template."""
    template = workload["spec"]["template"]
    spec, labels = copy.deepcopy(template["spec"]), dict(template["metadata"]["labels"])
    if workload["kind"] == "Deployment":
        labels["pod-template-hash"] = "one"
    for claim in workload["spec"].get("volumeClaimTemplates", []):
        name = claim["metadata"]["name"]
        spec["volumes"].append({"name": name, "persistentVolumeClaim": {"claimName": f"{name}-one"}})
    meta = {
        "name": f"{workload['metadata']['name']}-one",
        "namespace": workload["metadata"]["namespace"],
        "labels": labels,
        "annotations": template["metadata"].get("annotations", {}),
    }
    return {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": spec}


def taken(server, objects):
    """Each by itself, in a dry run: the server takes it, does not warn, and keeps it as it is."""
    for found in objects:
        answer = server.create(found, dry_run=True)
        if answer.refusal:
            yield f"{who(found)}: {answer.refusal}"
            continue
        yield from (f"{who(found)}: the server warns: {warning}" for warning in answer.warnings)
        yield from (f"{who(found)}: {difference}" for difference in differences(found, answer.body))


def lived(cluster, case):
    """A life without change: what was kept, and what was wrong."""
    wrong = list(taken(cluster.server, (found for found in case.objects if found["kind"] != "Pod")))
    refusal = cluster.install(case)
    if refusal:
        # Helm repeats what was said of each object.
        return {}, [*(wrong or [f"cannot be installed: {refusal}"]), *cluster.remove(case)]
    wrong += taken(cluster.server, pods_of(case))
    first = cluster.kept(case)
    for found in lasting_objects(case):
        wrong += [f"{who(found)}: {difference}" for difference in differences(found, first[who(found)])]
    refusal = cluster.upgrade(case)
    wrong += [f"cannot be installed once more: {refusal}"] if refusal else []
    again = cluster.kept(case)
    changed = [name for name in first if version(first[name]) != version(again[name])]
    wrong += [f"{name} changes though nothing was changed" for name in changed]
    if case.of_kind("Pod"):
        refusal = cluster.does("test", chart.RELEASE)
        wrong += [f"cannot be tested: {refusal}"] if refusal else []
    return alike(first), [*wrong, *cluster.remove(case)]


def version(found):
    return [found["metadata"].get(key) for key in ("uid", "resourceVersion")]


def alike(kept):
    return {name: lasting(found) for name, found in kept.items()}


def upgraded(cluster, case, others, fresh):
    """From a case to others and back, each time as if it had been installed that way; what was wrong."""
    refusal = cluster.install(case)
    if refusal:
        return [f"cannot be installed: {refusal}", *cluster.remove(case)]
    wrong = []
    for other in others:
        refusal = cluster.upgrade(other)
        wrong += [f"to {other.name}: {what}" for what in judged(cluster, case, other, refusal, fresh)]
        refusal = cluster.does("rollback", chart.RELEASE, version=1)
        wrong += [f"back from {other.name}: {what}" for what in judged(cluster, other, case, refusal, fresh, back=True)]
    return [*wrong, *cluster.remove(case, *others)]


def judged(cluster, before, after, refusal, fresh, back=False):
    """What is wrong with what an upgrade or a rollback came to."""
    if not back and volumes_change(before, after):
        # One line for each object that is refused.
        if refusal is None or any(FIXED not in line for line in refusal.splitlines()):
            yield f"volumes change, and what is said is {refusal!r}"
    elif refusal:
        yield refusal
    else:
        kept = alike(cluster.kept(after))
        for name, expected in fresh[after.name].items():
            both = {*differences(expected, kept[name]), *differences(kept[name], expected)}
            yield from (f"{name} is not as in a new release: {difference}" for difference in sorted(both))
        yield from cluster.left(before, wanted=[who(found) for found in after.objects])


def volumes_change(before, after):
    """The part of a StatefulSet that can never be changed, as the chart's README says."""
    claims = [
        {who(found): [claim["spec"] for claim in found["spec"].get("volumeClaimTemplates", [])]
         for found in case.of_kind("StatefulSet")}
        for case in (before, after)
    ]
    return any(claims[0][name] != claims[1][name] for name in claims[0].keys() & claims[1].keys())


def next_day(loaded, case):
    return chart.render(loaded, f"{case.name}, changed", merged(case.values, NEXT_DAY))


def merged(values, more):
    both = {**values, **more}
    for key in set(values) & set(more):
        if isinstance(values[key], dict) and isinstance(more[key], dict):
            both[key] = merged(values[key], more[key])
    return both
