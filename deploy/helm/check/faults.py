"""Planted faults. A check that has never failed says nothing, so each run sees all of these fail."""

import copy

import agreement
import network
import objects
import pods
from chart import render

# Values with one mistake each, and what the refusal must name.
REFUSED = [
    ({"ingest": {"replicaCounts": 3}}, "replicaCounts"),
    ({"transform": {"persistance": {"enabled": False}}}, "persistance"),
    ({"deliver": {"keda": {"enable": True}}}, "enable"),
    ({"deliver": {"handlers": {"pay.js": {"text": "function handler() {}"}}}}, "pay.js"),
    ({"metrics": {"podMonitors": {"enabled": True}}}, "podMonitors"),
    ({"networkPolicy": {"kafkaPeer": []}}, "kafkaPeer"),
    ({"strimzi": {"topics": {"created": True}}}, "created"),
    ({"ingest": {"replicaCount": "three"}}, "replicaCount"),
    ({"image": {"pullPolicy": "Sometimes"}}, "pullPolicy"),
    ({"config": {"kafka": {"brokers": "kafka:9092", "broker": "kafka:9092"}}}, "broker"),
    ({"config": {"transform": {"reorder_windows": "2s"}}}, "reorder_windows"),
    ({"config": {"deliver": {"drain": "10 seconds"}}}, "drain"),
    ({"config": {"destinations": {"crm": {"type": "salesforce"}}}}, "type"),
    ({"config": {"sources": {"Shop": {"provider": "stripe"}}}}, "Shop"),
    # What the chart decides.
    ({"config": {"transform": {"state_dir": "/elsewhere"}}}, "state_dir"),
    # Secrets, planted.
    ({"config": {"sources": {"shop": {"provider": "stripe", "secrets": ["whsec_planted"]}}}}, "secrets"),
    ({"config": {"destinations": {"crm": {"type": "intercom", "access_token": "planted"}}}}, "access_token"),
    ({"config": {"kafka": {"properties": {"sasl.password": "planted"}}}}, "password"),
    ({"config": {"schema_registry": {"url": "https://user:planted@registry"}}}, "url"),
    # Two who decide on one number.
    ({"deliver": {"replicaCount": 3, "keda": {"enabled": True}}}, "replicaCount"),
    ({"ingest": {"replicaCount": 3, "autoscaling": {"enabled": True}}}, "replicaCount"),
    ({"strimzi": {"topics": {"create": True}}}, "cluster"),
    # What only the templates can see.
    (
        {
            "config": {"kafka": {"brokers": "kafka:9092", "partitions": 6}, "destinations": {"a": {"type": "intercom"}}},
            "deliver": {"keda": {"enabled": True, "maxReplicas": 7}},
        },
        "maxReplicas",
    ),
    (
        {
            "config": {"kafka": {"brokers": "kafka:9092", "replication_factor": 2}},
            "strimzi": {"cluster": "main", "topics": {"create": True}},
        },
        "minInsyncReplicas",
    ),
    ({"kafka": {"authentication": {"mechanism": "PLAIN"}}}, "existingSecret"),
]


def accepted(chart):
    """Mistaken values that were not refused, or not for what is wrong with them."""
    for values, names in REFUSED:
        try:
            render(chart, "planted", values)
        except Exception as error:  # Helm has a class of errors for each stage at which it can notice.
            if names not in str(error):
                yield f"{values} is refused without naming {names}: {error}"
        else:
            yield f"{values} is accepted"


def unnoticed(chart, rendered):
    """Mistaken objects that no check notices."""
    unsafe = render(chart, "planted", {"securityContext": {"privileged": True, "allowPrivilegeEscalation": True}})
    for name, _, spec in pods.templates(unsafe.objects):
        found = list(pods.problems(name, spec))
        if not any("is privileged" in problem for problem in found):
            yield f"{name} may be privileged"
    for what, plant in POD_FAULTS.items():
        name, _, spec = next(pods.templates(rendered.objects))
        spec = copy.deepcopy(spec)
        plant(spec)
        if not list(pods.problems(name, spec)):
            yield f"a pod that {what} is not noticed"
    for kind, plant in OBJECT_FAULTS:
        found = copy.deepcopy(rendered.of_kind(kind)[0])
        plant(found)
        if not objects.problems(found):
            yield f"a mistaken {kind} is not noticed"
    for what, plant in RELEASE_FAULTS.items():
        planted = rendered._replace(objects=copy.deepcopy(rendered.objects))
        plant(planted)
        if not [*agreement.problems(planted), *network.problems(planted)]:
            yield f"a release in which {what} is not noticed"


def on_container(change):
    return lambda spec: change(spec["containers"][0])


POD_FAULTS = {
    "uses the network of the host": lambda spec: spec.update(hostNetwork=True),
    "mounts a folder of the host": lambda spec: spec["volumes"].append({"name": "host", "hostPath": {"path": "/"}}),
    "may run as root": lambda spec: spec["securityContext"].pop("runAsNonRoot"),
    "has no seccomp profile": lambda spec: spec["securityContext"].pop("seccompProfile"),
    "gets a token": lambda spec: spec.pop("automountServiceAccountToken"),
    "keeps capabilities": on_container(lambda own: own["securityContext"].pop("capabilities")),
    "adds capabilities": on_container(lambda own: own["securityContext"]["capabilities"].update(add=["NET_ADMIN"])),
    "writes to its image": on_container(lambda own: own["securityContext"].pop("readOnlyRootFilesystem")),
    "takes a port of the host": on_container(lambda own: own["ports"][0].update(hostPort=80)),
    "asks Kafka whether it lives": on_container(
        lambda own: own["livenessProbe"]["httpGet"].update(path="/readyz")
    ),
    "has a variable twice": on_container(
        lambda own: own["env"].extend([{"name": "TWICE", "value": "1"}, {"name": "TWICE", "value": "2"}])
    ),
    "has no limit": on_container(lambda own: own["resources"]["limits"].pop("memory")),
}

OBJECT_FAULTS = [
    ("PodMonitor", lambda found: found["spec"]["podMetricsEndpoints"][0].update(intervall="15s")),
    ("ScaledObject", lambda found: found["spec"].update(minReplicas=1)),
    ("ScaledObject", lambda found: found["spec"]["triggers"][0]["metadata"].update(lagThreshold=5)),
    ("TriggerAuthentication", lambda found: found["spec"]["secretTargetRef"][0].update(secret="x")),
    ("KafkaTopic", lambda found: found["spec"].update(partition=12)),
    ("KafkaUser", lambda found: found["spec"]["authorization"]["acls"][0].update(operation="Read")),
    ("PrometheusRule", lambda found: found["spec"]["groups"][0]["rules"][0].update(exp="1")),
    ("Deployment", lambda found: found["spec"].update(replica=2)),
    ("StatefulSet", lambda found: found["spec"].update(podManagement="Parallel")),
    ("NetworkPolicy", lambda found: found["spec"].update(policyType=["Egress"])),
    ("PodDisruptionBudget", lambda found: found["spec"].update(maxUnavailable=[1])),
]


def policy_of_deliver(rendered):
    named = [found for found in rendered.of_kind("NetworkPolicy") if found["metadata"]["name"].endswith("-deliver")]
    return named[0]["spec"]


def forget_an_exception(rendered):
    blocks = network.blocks(policy_of_deliver(rendered))
    next(block for block in blocks if "10.0.0.0/8" in block.get("except", []))["except"].remove("169.254.0.0/16")


def except_of_deliver(rendered, address):
    """Puts one more exception where there are some."""
    blocks = network.blocks(policy_of_deliver(rendered))
    next(block for block in blocks if "10.0.0.0/8" in block.get("except", []))["except"].append(address)


RELEASE_FAULTS = {
    "a policy lets nobody in and means everybody": lambda rendered: policy_of_deliver(rendered)["ingress"][0].update(
        {"from": []}
    ),
    "a policy excepts what it does not allow": lambda rendered: except_of_deliver(rendered, "fd00:ec2::/32"),
    "a policy names IPv4-mapped addresses": lambda rendered: except_of_deliver(rendered, "::ffff:0:0/96"),
    "deliver reaches the metadata of the cloud": forget_an_exception,
    "nothing is denied": lambda rendered: rendered.objects.remove(
        next(found for found in rendered.of_kind("NetworkPolicy") if "egress" not in found["spec"])
    ),
    "a scaled workload has a fixed number": lambda rendered: rendered.named(
        "Deployment", rendered.of_kind("ScaledObject")[0]["spec"]["scaleTargetRef"]["name"]
    )["spec"].update(replicas=2),
    "markers count as work": lambda rendered: rendered.of_kind("ScaledObject")[0]["spec"]["triggers"][0][
        "metadata"
    ].update(activationLagThreshold="12"),
    "a rule was changed": lambda rendered: rendered.of_kind("PrometheusRule")[0]["spec"]["groups"].pop(),
    "the setup job has no configuration": lambda rendered: rendered.objects.remove(
        next(found for found in rendered.of_kind("ConfigMap") if agreement.moment(found) is not None)
    ),
    "the setup job has no handlers": lambda rendered: rendered.objects.remove(
        next(
            found
            for found in rendered.of_kind("ConfigMap")
            if agreement.moment(found) is not None and found["metadata"]["name"].endswith("-handlers")
        )
    ),
    "a pod is killed early": lambda rendered: rendered.of_kind("Deployment")[0]["spec"]["template"]["spec"].update(
        terminationGracePeriodSeconds=10
    ),
    "a Service selects nobody": lambda rendered: rendered.of_kind("Service")[0]["spec"]["selector"].update(x="y"),
}
