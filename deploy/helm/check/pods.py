"""What every pod of the chart must be, whatever the values: the standard `restricted`, spelled out, and what we add.

https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted, as of Kubernetes 1.37.
"""

VOLUMES = {
    "configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret",
}
ADMIN_PORTS = {"ingest": 9101, "transform": 9102, "deliver": 9103}


def templates(objects):
    """Name, labels and spec of every pod that the objects make."""
    for found in objects:
        name = f"{found['kind']} {found['metadata']['name']}"
        if found["kind"] == "Pod":
            yield name, found["metadata"], found["spec"]
        elif "template" in found.get("spec", {}) and found["apiVersion"] in ("apps/v1", "batch/v1"):
            template = found["spec"]["template"]
            yield name, template["metadata"], template["spec"]


def problems(name, spec):
    """Where a pod is not what it must be."""
    return [f"{name}: {what}" for what in [*restricted(spec), *ours(spec)]]


def containers(spec):
    return [
        *spec.get("initContainers", []),
        *spec["containers"],
        *spec.get("ephemeralContainers", []),
    ]


def restricted(spec):
    pod = spec.get("securityContext", {})
    for flag in ("hostNetwork", "hostPID", "hostIPC"):
        if spec.get(flag):
            yield f"{flag} is on"
    if pod.get("sysctls"):
        yield "sets sysctls"
    if pod.get("windowsOptions", {}).get("hostProcess"):
        yield "is a host process"
    for volume in spec.get("volumes", []):
        for kind in set(volume) - {"name"} - VOLUMES:
            yield f"the volume {volume['name']} is a {kind}"
    for container in containers(spec):
        own = container.get("securityContext", {})
        who = f"container {container['name']}"
        if own.get("privileged"):
            yield f"{who} is privileged"
        if own.get("allowPrivilegeEscalation") is not False:
            yield f"{who} may gain privileges"
        if own.get("capabilities", {}).get("drop") != ["ALL"]:
            yield f"{who} keeps capabilities"
        if set(own.get("capabilities", {}).get("add", [])) - {"NET_BIND_SERVICE"}:
            yield f"{who} adds capabilities"
        if own.get("runAsNonRoot", pod.get("runAsNonRoot")) is not True:
            yield f"{who} may run as root"
        if own.get("runAsUser", pod.get("runAsUser")) == 0:
            yield f"{who} runs as root"
        seccomp = own.get("seccompProfile", pod.get("seccompProfile", {})).get("type")
        if seccomp not in ("RuntimeDefault", "Localhost"):
            yield f"{who} has no seccomp profile"
        if own.get("procMount", "Default") != "Default":
            yield f"{who} unmasks /proc"
        if own.get("windowsOptions", {}).get("hostProcess"):
            yield f"{who} is a host process"
        if any(port.get("hostPort") for port in container.get("ports", [])):
            yield f"{who} takes a port of the host"
        if "seLinuxOptions" in own or "appArmorProfile" in own:
            yield f"{who} changes its confinement"
        for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
            action = container.get(probe, {})
            if action.get("httpGet", {}).get("host") or action.get("tcpSocket", {}).get("host"):
                yield f"{who}: {probe} asks another host"


def ours(spec):
    pod = spec.get("securityContext", {})
    if spec.get("automountServiceAccountToken") is not False:
        yield "gets a token for the API"
    if spec.get("enableServiceLinks") is not False:
        yield "gets a variable for each Service"
    if pod.get("runAsUser", 0) < 10000 or pod.get("fsGroup") != pod.get("runAsGroup"):
        yield "does not run as a user of its own"
    if pod.get("fsGroupChangePolicy") != "OnRootMismatch":
        yield "changes the owner of every file at each start"
    volumes = {volume["name"]: volume for volume in spec.get("volumes", [])}
    if len(volumes) != len(spec.get("volumes", [])):
        yield "has two volumes of one name"
    for name, volume in volumes.items():
        if "emptyDir" in volume and not volume["emptyDir"].get("sizeLimit"):
            yield f"the volume {name} may fill the node"
    for container in containers(spec):
        who = f"container {container['name']}"
        if container.get("securityContext", {}).get("readOnlyRootFilesystem") is not True:
            yield f"{who} may write to its image"
        names = [each["name"] for each in container.get("env", [])]
        yield from (f"{who} has the variable {name} twice" for name in sorted({*names}) if names.count(name) > 1)
        if container["image"].endswith(":latest") or not (":" in container["image"]):
            yield f"{who} has no version"
        if {"cpu", "memory"} - set(container.get("resources", {}).get("requests", {})):
            yield f"{who} does not say what it needs"
        if "memory" not in container.get("resources", {}).get("limits", {}):
            yield f"{who} may take all memory"
        for mount in container.get("volumeMounts", []):
            # A volume of a StatefulSet's own comes from its claim.
            if mount["name"] not in volumes and mount["name"] != "state":
                yield f"{who} mounts {mount['name']}, which is not there"
            if "subPath" in mount:
                yield f"{who} would not see that {mount['name']} changes"
        if "run" in container.get("args", []):
            yield from of_a_service(container)


def of_a_service(container):
    """A container that runs for good."""
    who = f"container {container['name']}"
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    if ports.get("admin") != ADMIN_PORTS[container["name"]]:
        yield f"{who} has no admin port"
    expected = {"startupProbe": "/livez", "livenessProbe": "/livez", "readinessProbe": "/readyz"}
    for probe, path in expected.items():
        ask = container.get(probe, {}).get("httpGet", {})
        if (ask.get("path"), ask.get("port")) != (path, "admin"):
            yield f"{who}: {probe} does not ask for {path}"
