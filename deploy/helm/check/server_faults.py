"""Planted faults that the API server must refuse, and for what is wrong with them: each run of the deep check sees it."""

import copy

from releases import pod_of, who


def unnoticed(server, case):
    """Mistaken objects that the server takes, or refuses for something else."""
    template = case.of_kind("StatefulSet")[0]
    for what, plant, names in POD_FAULTS:
        yield from refused(server.create, f"a pod that {what}", pod_of(template), plant, names)
    for kind, what, plant, names in OBJECT_FAULTS:
        yield from refused(server.create, f"a {kind} {what}", renamed(case.of_kind(kind)[0]), plant, names)
    for kind, what, plant, names in CHANGES:
        yield from refused(server.apply, f"a {kind} {what}", case.of_kind(kind)[0], plant, names)


def refused(send, what, found, plant, names):
    found = copy.deepcopy(found)
    said = send(found, dry_run=True).refusal
    if said:
        yield f"{who(found)} is refused before anything is planted: {said}"
    plant(found)
    said = send(found, dry_run=True).refusal
    if said is None:
        yield f"{what} is taken"
    elif names not in said:
        yield f"{what} is refused without naming {names}: {said}"


def renamed(found):
    """Not the one that is there already."""
    return {**found, "metadata": {**found["metadata"], "name": "planted"}}


def spec(**changes):
    return lambda found: found["spec"].update(changes)


def pod_security(**changes):
    return lambda found: found["spec"]["securityContext"].update(changes)


def container(change):
    return lambda found: change(found["spec"]["containers"][0])


def security(**changes):
    return container(lambda own: own["securityContext"].update(changes))


def resources(part, **changes):
    return container(lambda own: own["resources"][part].update(changes))


POD_FAULTS = [
    ("is privileged", security(privileged=True, allowPrivilegeEscalation=True), "privileged"),
    ("may gain privileges", security(allowPrivilegeEscalation=True), "allowPrivilegeEscalation"),
    ("keeps capabilities", security(capabilities={}), "unrestricted capabilities"),
    ("runs as root", pod_security(runAsUser=0), "runAsUser=0"),
    ("may run as root", pod_security(runAsNonRoot=False), "runAsNonRoot"),
    ("has no seccomp profile", pod_security(seccompProfile={"type": "Unconfined"}), "seccompProfile"),
    ("uses the network of the host", spec(hostNetwork=True), "host namespaces"),
    (
        "mounts a folder of the host",
        lambda found: found["spec"]["volumes"].append({"name": "host", "hostPath": {"path": "/"}}),
        "restricted volume types",
    ),
    ("takes a port of the host", container(lambda own: own["ports"][0].update(hostPort=9102)), "hostPort"),
    ("has an account that is not there", spec(serviceAccountName="nobody"), '"nobody" not found'),
    ("has a class that is not there", spec(priorityClassName="none"), "no PriorityClass with name none"),
    ("counts memory in Gb", resources("limits", memory="1Gb"), "quantities must match"),
    ("needs more than it may take", resources("requests", memory="64Gi"), "must be less than or equal to memory limit"),
    (
        "mounts what is not there",
        container(lambda own: own["volumeMounts"].append({"name": "none", "mountPath": "/none"})),
        'Not found: "none"',
    ),
    ("has a mistyped field", container(lambda own: own.update(imagePulPolicy="Always")), "imagePulPolicy"),
    ("has a label that cannot be", lambda found: found["metadata"]["labels"].update(day="next day"), "valid label"),
]

OBJECT_FAULTS = [
    ("Deployment", "with a mistyped field", spec(replica=2), 'unknown field "spec.replica"'),
    ("Deployment", "that does not select its pods",
     lambda found: found["spec"]["template"]["metadata"]["labels"].pop("app.kubernetes.io/component"), "does not match"),
    ("StatefulSet", "with a name that cannot be", lambda found: found["metadata"].update(name="One"), "RFC 1123"),
    ("Job", "that always starts again", lambda found: found["spec"]["template"]["spec"].update(restartPolicy="Always"),
     "restartPolicy"),
    ("Service", "with a port that cannot be", lambda found: found["spec"]["ports"][0].update(port=70000), "65535"),
    ("PodDisruptionBudget", "with two bounds", spec(minAvailable=1), "cannot be both set"),
    ("PodDisruptionBudget", "with a bound of no kind", spec(maxUnavailable="one"), "maxUnavailable"),
    ("HorizontalPodAutoscaler", "of more at least than at most", spec(minReplicas=100), "maxReplicas"),
    ("Ingress", "with a path from nowhere",
     lambda found: found["spec"]["rules"][0]["http"]["paths"][0].update(path="webhooks"), "must be an absolute path"),
    ("NetworkPolicy", "with an exception of something else", spec(
        egress=[{"to": [{"ipBlock": {"cidr": "10.0.0.0/8", "except": ["192.168.0.0/16"]}}]}]
    ), "must be a strict subset"),
    ("ConfigMap", "with a key that cannot be", lambda found: found["data"].update({"a b": ""}), "a valid config key"),
    ("KafkaTopic", "without partitions", spec(partitions=0), "greater than or equal to 1"),
    ("KafkaTopic", "with a mistyped field", spec(partition=1), 'unknown field "spec.partition"'),
    ("KafkaUser", "with a right that is none",
     lambda found: found["spec"]["authorization"]["acls"][0].update(operations=["read"]), "Unsupported value"),
    ("ScaledObject", "with a number as text", spec(minReplicaCount="two"), "must be of type integer"),
    ("ScaledObject", "of more at least than at most", spec(minReplicaCount=100), "minReplicaCount exceeds"),
    ("ScaledObject", "with a number where text is asked for",
     lambda found: found["spec"]["triggers"][0]["metadata"].update(lagThreshold=5), "must be of type string"),
    ("TriggerAuthentication", "without a key",
     lambda found: found["spec"]["secretTargetRef"][0].pop("key"), "key: Required value"),
    ("PodMonitor", "with a mistyped field",
     lambda found: found["spec"]["podMetricsEndpoints"][0].update(intervall="15s"), "intervall"),
    ("PodMonitor", "that asks every now and then",
     lambda found: found["spec"]["podMetricsEndpoints"][0].update(interval="sometimes"), "should match"),
    ("PrometheusRule", "without an expression",
     lambda found: found["spec"]["groups"][0]["rules"][0].pop("expr"), "expr: Required value"),
]

# Of what is there already.
CHANGES = [
    ("StatefulSet", "with a larger volume", lambda found: found["spec"]["volumeClaimTemplates"][0]["spec"]["resources"][
        "requests"].update(storage="99Gi"), "updates to statefulset spec for fields other than"),
    ("Deployment", "that selects other pods", lambda found: [
        found["spec"]["selector"]["matchLabels"].update(day="next"),
        found["spec"]["template"]["metadata"]["labels"].update(day="next"),
    ], "field is immutable"),
]
PLANTED = len(POD_FAULTS) + len(OBJECT_FAULTS) + len(CHANGES)
