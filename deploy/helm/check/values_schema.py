"""`values.schema.json`: every key that the chart knows, and nothing else.

What the chart adds is declared here. What lies below `config` is what the binaries read: it is taken from
docs/configuration.md, which is made from the declarations in the code, so that a typo fails before anything is
installed. A credential may stand there as `${NAME}` or as a file, never as itself.
"""

import json
import re

from chart import ROOT

# Set by the chart: they must agree with ports, probes and volumes.
DECIDED = {
    ("ingest", "listen"),
    ("ingest", "admin"),
    ("transform", "admin"),
    ("transform", "state_dir"),
    ("transform", "instance_id"),
    ("deliver", "admin"),
}
VARIABLE = r"^\$\{[A-Za-z_][A-Za-z0-9_]*\}$"
REFERENCE = {"type": "string", "pattern": VARIABLE}
NAME = "^[a-z0-9][a-z0-9-]{0,62}$"
SECRET_PROPERTY = r"(password|secret|\.pem$|^sasl\.oauthbearer\.config$|^sasl\.jaas)"

TEXT = {"type": "string"}
BOOLEAN = {"type": "boolean"}
NAMES = {"type": "array", "items": {"type": "string", "pattern": "^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$"}}
LABELS = {"type": "object", "additionalProperties": TEXT}
# What Kubernetes judges.
FREE = {"type": "object"}
OBJECTS = {"type": "array", "items": FREE}


def whole(least, or_null=False):
    return {"type": ["integer", "null"] if or_null else "integer", "minimum": least}


def one_of(*words):
    return {"type": "string", "enum": list(words)}


def closed(properties, **more):
    return {"type": "object", "additionalProperties": False, "properties": properties, **more}


KAFKA_USER = closed({"existingSecret": TEXT, "username": TEXT})
PROBE = closed(
    {
        "initialDelaySeconds": whole(0),
        "periodSeconds": whole(1),
        "timeoutSeconds": whole(1),
        "failureThreshold": whole(1),
        "successThreshold": whole(1),
    }
)


def component(more, **rules):
    """The block of a binary: the same keys in all three, and what only it has."""
    return closed(
        {
            "enabled": BOOLEAN,
            "replicaCount": whole(0, or_null=True),
            "image": closed(
                {
                    "repository": TEXT,
                    "tag": TEXT,
                    "digest": {"type": "string", "pattern": "^$|^sha256:[0-9a-f]{64}$"},
                }
            ),
            "kafka": KAFKA_USER,
            "existingSecrets": NAMES,
            "env": OBJECTS,
            "envFrom": OBJECTS,
            "extraVolumes": OBJECTS,
            "extraVolumeMounts": OBJECTS,
            "podAnnotations": LABELS,
            "podLabels": LABELS,
            "nodeSelector": LABELS,
            "tolerations": OBJECTS,
            "affinity": FREE,
            "topologySpreadConstraints": {"type": ["array", "null"], "items": FREE},
            "priorityClassName": TEXT,
            "resources": closed({"requests": FREE, "limits": FREE, "claims": OBJECTS}),
            "updateStrategy": closed({"type": TEXT, "rollingUpdate": FREE}),
            "preStopSeconds": whole(0),
            "terminationGracePeriodSeconds": whole(1, or_null=True),
            "probes": closed({"startup": PROBE, "liveness": PROBE, "readiness": PROBE}),
            "podDisruptionBudget": closed(
                {"enabled": BOOLEAN, "maxUnavailable": {"type": ["integer", "string"]}}
            ),
            "networkPolicy": closed({"extraIngress": OBJECTS, "extraEgress": OBJECTS}),
            **more,
        },
        **rules,
    )


def no_fixed_count_with(scaler):
    """Two who decide on one number undo each other's work."""
    on = {"properties": {scaler: {"properties": {"enabled": {"const": True}}, "required": ["enabled"]}}}
    return {
        "if": {**on, "required": [scaler]},
        "then": {"properties": {"replicaCount": {"type": "null"}}},
    }


INGEST = component(
    {
        "service": closed({"type": TEXT, "port": whole(1), "annotations": LABELS}),
        "ingress": closed(
            {
                "enabled": BOOLEAN,
                "className": TEXT,
                "annotations": LABELS,
                "hosts": {"type": "array", "items": TEXT},
                "tls": OBJECTS,
            }
        ),
        "autoscaling": closed(
            {
                "enabled": BOOLEAN,
                "minReplicas": whole(1),
                "maxReplicas": whole(1),
                "targetCPUUtilizationPercentage": whole(1),
                "behavior": FREE,
            }
        ),
    },
    **no_fixed_count_with("autoscaling"),
)
RETAIN_OR_DELETE = one_of("Retain", "Delete")
TRANSFORM = component(
    {
        "persistence": closed(
            {
                "enabled": BOOLEAN,
                "size": {"type": "string", "pattern": "^[0-9]+(Mi|Gi|Ti|M|G|T)$"},
                "storageClassName": TEXT,
                "retentionPolicy": closed(
                    {"whenDeleted": RETAIN_OR_DELETE, "whenScaled": RETAIN_OR_DELETE}
                ),
            }
        )
    }
)
DELIVER = component(
    {
        "handlers": {**LABELS, "propertyNames": {"pattern": "^[A-Za-z0-9._-]+$"}},
        "keda": closed(
            {
                "enabled": BOOLEAN,
                "minReplicas": whole(1),
                "maxReplicas": whole(1),
                "lagThreshold": whole(1),
                "activationLagThreshold": whole(0),
                "pollingInterval": whole(1),
                "scaleDownStabilizationSeconds": whole(0),
            }
        )
    },
    **no_fixed_count_with("keda"),
)


def schema():
    """The whole of it."""
    properties = {
        "global": closed({"imageRegistry": TEXT, "imagePullSecrets": NAMES}),
        "image": closed(
            {
                "registry": TEXT,
                "repository": TEXT,
                "tag": TEXT,
                "pullPolicy": one_of("Always", "IfNotPresent", "Never"),
            }
        ),
        "imagePullSecrets": NAMES,
        "nameOverride": TEXT,
        "fullnameOverride": TEXT,
        "commonLabels": LABELS,
        "commonAnnotations": LABELS,
        "config": configuration(),
        "listenAddress": TEXT,
        "env": OBJECTS,
        "envFrom": OBJECTS,
        "kafka": closed(
            {
                "tls": closed({"enabled": BOOLEAN, "existingSecret": TEXT, "caKey": TEXT}),
                "authentication": closed(
                    {
                        "mechanism": one_of("", "TLS", "PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"),
                        "usernameKey": TEXT,
                        "passwordKey": TEXT,
                        "certificateKey": TEXT,
                        "privateKeyKey": TEXT,
                    }
                ),
            }
        ),
        "serviceAccount": closed({"create": BOOLEAN, "name": TEXT, "annotations": LABELS}),
        "podSecurityContext": FREE,
        "securityContext": FREE,
        "ingest": INGEST,
        "transform": TRANSFORM,
        "deliver": DELIVER,
        "setup": closed(
            {
                "enabled": BOOLEAN,
                "backoffLimit": whole(0),
                "activeDeadlineSeconds": whole(1),
                "kafka": KAFKA_USER,
                "resources": closed({"requests": FREE, "limits": FREE, "claims": OBJECTS}),
            }
        ),
        "tests": closed({"enabled": BOOLEAN}),
        "networkPolicy": closed(
            {
                "enabled": BOOLEAN,
                "dnsPeers": OBJECTS,
                "kafkaPeers": OBJECTS,
                "kafkaPorts": {"type": "array", "items": whole(1)},
                "schemaRegistryPeers": OBJECTS,
                "schemaRegistryPort": whole(1, or_null=True),
                "metricsPeers": OBJECTS,
                "webhookPeers": OBJECTS,
                "extraEgress": OBJECTS,
            }
        ),
        "strimzi": strimzi(),
        "metrics": closed(
            {
                "podMonitor": closed(
                    {"enabled": BOOLEAN, "labels": LABELS, "interval": TEXT, "scrapeTimeout": TEXT}
                ),
                "prometheusRule": closed({"enabled": BOOLEAN, "labels": LABELS}),
                "dashboards": closed(
                    {
                        "enabled": BOOLEAN,
                        "namespace": TEXT,
                        "label": TEXT,
                        "labelValue": TEXT,
                        "annotations": LABELS,
                    }
                ),
            }
        ),
        "extraObjects": OBJECTS,
    }
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "Values of the chart tributary",
        **closed(properties),
    }


def strimzi():
    made = {"properties": {"create": {"const": True}}, "required": ["create"]}
    needs_cluster = {
        "anyOf": [{"properties": {part: made}, "required": [part]} for part in ("topics", "users")]
    }
    return closed(
        {
            "apiVersion": TEXT,
            "cluster": TEXT,
            "namespace": TEXT,
            "topics": closed({"create": BOOLEAN, "minInsyncReplicas": whole(1)}),
            "users": closed(
                {
                    "create": BOOLEAN,
                    "additionalAcls": closed(
                        {user: OBJECTS for user in ("ingest", "transform", "deliver", "setup")}
                    ),
                }
            ),
        },
        **{"if": needs_cluster, "then": {"properties": {"cluster": {"minLength": 1}}}},
    )


def configuration():
    """What the binaries read, from the page that their declarations make."""
    page = (ROOT / "docs" / "configuration.md").read_text()
    top = closed({})
    for heading in re.split(r"^## ", page, flags=re.MULTILINE)[1:]:
        title, body = heading.split("\n", 1)
        path = title.strip("`").split(".")
        rows = re.findall(r"^\| `([^`]+)` \| (.*?) \| (.*?) \| (.*) \|$", body, flags=re.MULTILINE)
        section = section_at(top, path)
        keys = [key for key, *_ in rows]
        for key, says, default, doc in rows:
            if (path[0], key) in DECIDED:
                continue
            option = option_schema(key, says, credential=f"{key}_file" in keys)
            known = section["properties"].get(key)
            section["properties"][key] = either(known, option) if known else option
            if default == "required" and not doc.startswith("Only for"):
                section.setdefault("required", []).append(key)
    top["properties"]["schema_registry"]["properties"]["url"]["pattern"] = (
        r"^(\$\{\w+\}|https?://(\$\{\w+\}:\$\{\w+\}@)?[^@]+)$"
    )
    return {**top, "required": ["kafka"]}


def section_at(schema, path):
    """Steps into the section, and makes what is not there; a name in brackets stands for any."""
    for step in path:
        if step.startswith("<"):
            if not schema.get("additionalProperties"):
                schema["additionalProperties"] = closed({})
                # Names of events and attributes are the destinations'; those of sections are ours.
                if step in ("<source>", "<destination>"):
                    schema["propertyNames"] = {"pattern": NAME}
            schema = schema["additionalProperties"]
        else:
            schema = schema["properties"].setdefault(step, closed({}))
    return schema


def either(one, other):
    if "anyOf" in one and "anyOf" in other:
        return {"anyOf": one["anyOf"] + [each for each in other["anyOf"] if each not in one["anyOf"]]}
    return one if one == other else {"anyOf": [one, other]}


def option_schema(key, says, credential):
    """The values of an option, by the words that describe them."""
    if "section of free keys" in says:
        scalar = {"type": ["string", "number", "boolean"]}
        return {
            "type": "object",
            "patternProperties": {SECRET_PROPERTY: REFERENCE},
            "additionalProperties": scalar,
        }
    if credential:
        return {"type": "array", "items": REFERENCE} if says.startswith("a list") else REFERENCE
    if says.startswith("a list"):
        item = says.partition("each item ")[2] or "text"
        return {"type": "array", "items": option_schema(key, item, credential=False)}
    patterns = {
        "a whole number": {"type": "integer", "minimum": 1},
        "a duration": {"type": "string", "pattern": "^[0-9]+(ms|s|m|h|d)$"},
        "a size": {"type": "string", "pattern": "^[0-9]+(B|KiB|MiB|GiB)$"},
        "a rate": {"type": "string", "pattern": "^[0-9]+/(s|min|h)$"},
        "brokers": {"type": "string", "minLength": 1},
    }
    for words, judged in patterns.items():
        if says.startswith(words):
            return {"anyOf": [judged, REFERENCE]}
    if says == "`true` or `false`":
        return {"anyOf": [BOOLEAN, REFERENCE]}
    if re.fullmatch(r"(`\w+`, )*`\w+`( or `\w+`)?", says):
        return {"anyOf": [one_of(*re.findall(r"`(\w+)`", says)), REFERENCE]}
    return {"type": "string"}


def text():
    return json.dumps(schema(), indent=2, ensure_ascii=False) + "\n"
