"""Whom the pods may reach, as the NetworkPolicies say it."""

from ipaddress import ip_address, ip_network

# Where `deliver` has business, and where somebody who can choose its URL must not get.
PUBLIC = ["1.1.1.1", "34.117.59.81", "172.15.0.1", "172.32.0.1", "100.63.0.1", "2606:4700::1111", "64:ff9b::101:101"]
FORBIDDEN = [
    "10.0.0.1", "10.255.255.255", "172.16.0.1", "172.31.255.255", "192.168.1.1", "100.64.0.1", "100.100.100.200",
    "127.0.0.1", "169.254.169.254", "169.254.170.2", "192.0.0.192", "0.0.0.0", "224.0.0.1", "255.255.255.255",
    "::1", "::", "fd00:ec2::254", "fc00::1", "fe80::1", "ff02::1", "::ffff:169.254.169.254", "::ffff:10.0.0.1",
    "64:ff9b::a00:1", "64:ff9b::a9fe:a9fe", "64:ff9b::7f00:1", "64:ff9b::c0a8:1", "64:ff9b::ac1f:1",
    "64:ff9b:1::a00:1",
]
# Where clouds give out credentials, over HTTP.
METADATA = ["169.254.169.254", "169.254.170.2", "100.100.100.200", "192.0.0.192", "fd00:ec2::254", "::ffff:a9fe:a9fe"]

SIDES = (("ingress", "from"), ("egress", "to"))


def allowed(rules, address, port):
    """Whether rules let a TCP connection out to an address outside of the cluster."""
    return any(reaches(rule, ip_address(address), port) for rule in rules)


def reaches(rule, address, port):
    ports = rule.get("ports")
    if ports and not any(
        each.get("protocol", "TCP") == "TCP" and each.get("port", port) == port for each in ports
    ):
        return False
    return "to" not in rule or any("ipBlock" in peer and within(peer["ipBlock"], address) for peer in rule["to"])


def within(block, address):
    def holds(cidr):
        network = ip_network(cidr)
        return network.version == address.version and address in network

    return holds(block["cidr"]) and not any(map(holds, block.get("except", [])))


def blocks(spec):
    """Every range of addresses that a policy names."""
    for direction, side in SIDES:
        for rule in spec.get(direction) or []:
            yield from (peer["ipBlock"] for peer in rule.get(side, []) if "ipBlock" in peer)


def refused(block):
    """Why no API server takes such a range."""
    whole = ip_network(block["cidr"])
    for each in [whole, *map(ip_network, block.get("except", []))]:
        if each.version == 6 and each.network_address.ipv4_mapped is not None:
            yield f"{each} is IPv4-mapped, which no API server takes"
        elif each is not whole and (each.version != whole.version or each == whole or not each.subnet_of(whole)):
            yield f"{each} is no part of {whole}"


def problems(rendered):
    """Where the policies let out or keep in what they should not."""
    policies = {found["metadata"]["name"]: found["spec"] for found in rendered.of_kind("NetworkPolicy")}
    if not policies:
        return
    for name, spec in policies.items():
        yield from (f"{name}: {what}" for block in blocks(spec) for what in refused(block))
        sides = [rule.get(side) for direction, side in SIDES for rule in spec.get(direction) or []]
        if [] in sides:
            yield f"{name}: a list of nobody, which Kubernetes takes for everybody"
    for component in ("ingest", "transform", "deliver", "setup", "test"):
        name = next((name for name in policies if name.endswith(f"-{component}")), None)
        if name is None:
            continue
        spec = policies[name]
        if spec["policyTypes"] != ["Ingress", "Egress"]:
            yield f"{name} leaves a direction open"
        goes_out = component in ("deliver", "setup", "test")
        for address in PUBLIC:
            reached = allowed(spec["egress"], address, 443)
            if goes_out and not reached:
                yield f"{name}: {address} is out of reach"
            # transform may ask a registry out there.
            if reached and component == "ingest":
                yield f"{name}: {address} is within reach"
        for address in FORBIDDEN:
            if allowed(spec["egress"], address, 443):
                yield f"{name}: {address} is within reach"
        for address in METADATA:
            if allowed(spec["egress"], address, 80):
                yield f"{name}: {address} is within reach over HTTP"
    everything = [spec for spec in policies.values() if not spec.get("egress") and not spec.get("ingress")]
    if not any(set(spec["policyTypes"]) == {"Ingress", "Egress"} for spec in everything):
        yield "nothing denies by default"
