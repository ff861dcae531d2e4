"""Where objects of one release must agree with each other and with the files they are made from."""

import json
import re

import yaml

import pods
from chart import FOLDER, ROOT

DURATION = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400}


def problems(rendered):
    for check in (selectors, budgets, lifetimes, references, rules, dashboards, scaling, names):
        yield from check(rendered)


def configuration(rendered):
    maps = [found for found in rendered.of_kind("ConfigMap") if "tributary.yaml" in found["data"]]
    return yaml.safe_load(maps[0]["data"]["tributary.yaml"])


def selectors(rendered):
    """A workload selects its own pods, and a budget, a Service, a monitor and a policy select somebody's."""
    labels = [meta["labels"] for _, meta, _ in pods.templates(rendered.objects)]

    def chosen(selector):
        return [each for each in labels if selector.items() <= each.items()]

    for found in rendered.objects:
        spec = found.get("spec", {})
        who = f"{found['kind']} {found['metadata']['name']}"
        if found["kind"] in ("Deployment", "StatefulSet"):
            if not spec["selector"]["matchLabels"].items() <= spec["template"]["metadata"]["labels"].items():
                yield f"{who} does not select its own pods"
            for spread in spec["template"]["spec"].get("topologySpreadConstraints", []):
                if len(chosen(spread["labelSelector"]["matchLabels"])) != 1:
                    yield f"{who} spreads pods that are not its own"
        selector = {
            "Service": lambda: spec["selector"],
            "PodDisruptionBudget": lambda: spec["selector"]["matchLabels"],
            "PodMonitor": lambda: spec["selector"]["matchLabels"],
            "NetworkPolicy": lambda: spec["podSelector"]["matchLabels"],
        }.get(found["kind"])
        if selector and not chosen(selector()):
            yield f"{who} selects nobody"


def budgets(rendered):
    workloads = [found for found in rendered.objects if found["kind"] in ("Deployment", "StatefulSet")]
    if rendered.values.get("ingest", {}).get("podDisruptionBudget", {}).get("enabled", True):
        if len(rendered.of_kind("PodDisruptionBudget")) != len(workloads):
            yield "a workload has no PodDisruptionBudget"


def lifetimes(rendered):
    """Kubernetes waits at least as long as the binary may take, and a binary that is asked late is given that too."""
    config = configuration(rendered)
    for name, meta, spec in pods.templates(rendered.objects):
        component = meta["labels"]["app.kubernetes.io/component"]
        if component not in pods.ADMIN_PORTS:
            continue
        number, unit = re.fullmatch(r"(\d+)([a-z]+)", config.get(component, {}).get("drain", "10s")).groups()
        before = spec["containers"][0].get("lifecycle", {}).get("preStop", {}).get("sleep", {}).get("seconds", 0)
        if spec["terminationGracePeriodSeconds"] < before + int(number) * DURATION[unit] + 10:
            yield f"{name} is killed before it is done"


def references(rendered):
    """What a pod names of this release is there; a hook finds what it needs among the hooks of its own moment."""
    moments = {
        (found["kind"], found["metadata"]["name"], moment(found)) for found in rendered.objects
    }
    for found in rendered.objects:
        for name, _, spec in pods.templates([found]):
            # Tests run when everything is there.
            when = {"test": None}.get(moment(found), moment(found))
            needed = [("ConfigMap", volume["configMap"]["name"]) for volume in spec["volumes"]
                      if volume["name"] in ("configuration", "handlers")]
            if spec["serviceAccountName"] != "default":
                needed.append(("ServiceAccount", spec["serviceAccountName"]))
            for kind, needs in needed:
                if (kind, needs, when) not in moments:
                    yield f"{name} needs the {kind} {needs}, which is not there when it starts"


def moment(found):
    return found["metadata"].get("annotations", {}).get("helm.sh/hook")


def rules(rendered):
    file = yaml.safe_load((ROOT / "deploy" / "prometheus" / "rules.yaml").read_text())
    for found in rendered.of_kind("PrometheusRule"):
        if found["spec"] != file:
            yield "the PrometheusRule is not deploy/prometheus/rules.yaml"


def dashboards(rendered):
    if not rendered.values.get("metrics", {}).get("dashboards", {}).get("enabled"):
        return
    shown = {}
    for found in rendered.of_kind("ConfigMap"):
        if found["metadata"].get("labels", {}).get("grafana_dashboard") == "1":
            shown.update({name: json.loads(text) for name, text in found["data"].items()})
    files = (ROOT / "deploy" / "grafana").glob("*.json")
    if shown != {path.name: json.loads(path.read_text()) for path in files}:
        yield "the dashboards are not those of deploy/grafana"


def scaling(rendered):
    """Whoever scales a workload decides alone, on the groups and the topic that the binaries use."""
    config = configuration(rendered)
    prefix = config["kafka"].get("topic_prefix", "")
    partitions = config["kafka"].get("partitions", 12)
    for found in [*rendered.of_kind("HorizontalPodAutoscaler"), *rendered.of_kind("ScaledObject")]:
        target = rendered.named("Deployment", found["spec"]["scaleTargetRef"]["name"])
        if "replicas" in target["spec"]:
            yield f"{target['metadata']['name']} has a fixed number of pods and a scaler"
    for found in rendered.of_kind("ScaledObject"):
        spec = found["spec"]
        if spec["minReplicaCount"] < 1 or spec["maxReplicaCount"] > partitions:
            yield "deliver is scaled to none, or to more pods than there are partitions"
        groups = {
            f"{prefix}deliver.{name}" + (".shadow" if each.get("mode") == "shadow" else "")
            for name, each in config["destinations"].items()
        }
        triggers = [trigger["metadata"] for trigger in spec["triggers"]]
        if {trigger["consumerGroup"] for trigger in triggers} != groups:
            yield "KEDA looks at other groups than those of the destinations"
        for trigger in triggers:
            if trigger["topic"] != f"{prefix}subscriptions.events":
                yield "KEDA looks at another topic than that of the events"
            if int(trigger["activationLagThreshold"]) < 2 * partitions:
                yield "the markers of transactions count as work"


def names(rendered):
    """No two objects are one, and none has a name that its kind cannot have."""
    seen = set()
    for found in rendered.objects:
        meta = found["metadata"]
        key = (found["kind"], meta.get("namespace"), meta["name"], moment(found))
        if key in seen:
            yield f"{key} is there twice"
        seen.add(key)
        longest = 63 if found["kind"] == "Service" else 253
        if not re.fullmatch(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?", meta["name"]) or len(meta["name"]) > longest:
            yield f"{found['kind']} cannot be called {meta['name']}"


def one_file():
    """What the chart reads of others is theirs and no copy."""
    expected = {
        "rules.yaml": ROOT / "deploy" / "prometheus" / "rules.yaml",
        "dashboards": ROOT / "deploy" / "grafana",
        "topics.toml": ROOT / "schemas" / "topics.toml",
    }
    for name, file in expected.items():
        link = FOLDER / "files" / name
        if not link.is_symlink() or link.resolve() != file.resolve():
            yield f"files/{name} is not a link to {file.relative_to(ROOT)}"
