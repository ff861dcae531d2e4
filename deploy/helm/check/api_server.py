"""A real API server, asked as clients ask it, and strictly. Nothing that is made there ever runs."""

import http.client
import json
import os
import ssl
import sys
import threading
import time
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlencode, urlsplit

import yaml

from chart import NAMESPACE
from objects import CUSTOM

READY_WITHIN = PATIENCE = 120
MERGE_PATCH, APPLY = "application/merge-patch+json", "application/apply-patch+yaml"


class Answer(NamedTuple):
    status: int
    body: dict
    warnings: list

    @property
    def refusal(self):
        """Why not, if not."""
        return None if self.status < 300 else self.body.get("message", f"status {self.status}")


class Server:
    """A connection for each request: the server ends those that are idle."""

    def __init__(self, kubeconfig, patience=PATIENCE):
        config = json.loads(Path(kubeconfig).read_text())
        cluster = config["clusters"][0]["cluster"]
        self.address, self.patience = urlsplit(cluster["server"]).netloc, patience
        self.trusted = ssl.create_default_context(cafile=cluster["certificate-authority"])
        self.headers = {"Authorization": f"Bearer {config['users'][0]['user']['token']}"}
        self.plurals = {}

    def ask(self, method, path, body=None, content="application/json", **query):
        with self.open(method, path, body, content, **query) as answer:
            text = answer.read()
        # 299 - "what is said"
        warnings = [json.loads(value.split(" ", 2)[2]) for value in answer.headers.get_all("Warning") or []]
        return Answer(answer.status, json.loads(text), warnings)

    def open(self, method, path, body=None, content="application/json", **query):
        headers = {**self.headers, "Content-Type": content, "Accept": "application/json", "Connection": "close"}
        connection = http.client.HTTPSConnection(self.address, context=self.trusted, timeout=self.patience)
        connection.request(method, f"{path}?{urlencode(query)}", json.dumps(body) if body else None, headers)
        return connection.getresponse()

    def create(self, found, *, dry_run=False):
        return self.ask("POST", self.path(found, None), found, **strictly(dry_run))

    def apply(self, found, *, dry_run=False):
        query = {"fieldManager": "check", "force": "true", **strictly(dry_run)}
        return self.ask("PATCH", self.path(found), found, APPLY, **query)

    def get(self, found):
        return self.ask("GET", self.path(found))

    def delete(self, found):
        return self.ask("DELETE", self.path(found), propagationPolicy="Background")

    def path(self, found, name=""):
        """Where an object lies; with no name, where its like lie."""
        meta = found["metadata"]
        plural, namespaced = self.resource(found["apiVersion"], found["kind"])
        parts = [root(found["apiVersion"])]
        if namespaced:
            parts += ["namespaces", meta.get("namespace", NAMESPACE)]
        parts.append(plural)
        if name is not None:
            parts.append(name or meta["name"])
        return "/".join(parts)

    def resource(self, api_version, kind):
        key = (api_version, kind)
        if key not in self.plurals:
            known = self.ask("GET", root(api_version)).body.get("resources", [])
            self.plurals |= {
                (api_version, each["kind"]): (each["name"], each["namespaced"])
                for each in known
                if "/" not in each["name"]
            }
        return self.plurals[key]

    def version(self):
        return self.ask("GET", "/version").body["gitVersion"]


def root(api_version):
    return f"/apis/{api_version}" if "/" in api_version else f"/api/{api_version}"


def strictly(dry_run):
    return {"fieldValidation": "Strict"} | ({"dryRun": "All"} if dry_run else {})


def until(condition, what):
    deadline = time.monotonic() + READY_WITHIN
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what} within {READY_WITHIN} s")
        time.sleep(0.1)


def connect(kubeconfig):
    """A server that answers."""
    until(lambda: answers(kubeconfig), "the API server is not ready")
    return Server(kubeconfig)


def answers(kubeconfig):
    try:
        return Server(kubeconfig).open("GET", "/readyz").status == 200
    except OSError:
        return False


def furnish(server, others):
    """What the operators, and others than the chart, bring to a cluster."""
    for found in [*definitions(), *surroundings(others)]:
        refusal = server.create(found).refusal
        if refusal:
            raise RuntimeError(f"{found['kind']} {found['metadata']['name']}: {refusal}")
    for found in definitions():
        until(lambda: is_served(server, found), f"{found['metadata']['name']} is not served")


def definitions():
    return [yaml.safe_load(path.read_text()) for path in sorted(CUSTOM.glob("*.yaml"))]


def is_served(server, definition):
    conditions = server.get(definition).body.get("status", {}).get("conditions", [])
    spec = definition["spec"]
    known = server.ask("GET", f"/apis/{spec['group']}/{spec['versions'][0]['name']}")
    return known.status == 200 and any(
        each["type"] == "Established" and each["status"] == "True" for each in conditions
    )


def surroundings(others):
    levels = {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "warn")}
    yield {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE, "labels": levels}}
    for other in others:
        yield {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": other}}
    # Whom a controller makes in every namespace.
    yield {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default", "namespace": NAMESPACE}}
    yield {
        "apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "metadata": {"name": "high"}, "value": 1000,
    }


class Stagehands:
    """Jobs and tests are over as soon as they are there: no controller and no node is here to run them. The pod that a
    job's controller would ask for is asked for."""

    def __init__(self, kubeconfig, pod_of):
        self.kubeconfig, self.server, self.pod_of = kubeconfig, Server(kubeconfig), pod_of
        self.ended, self.refusals = 0, []
        for path, status in ((f"/apis/batch/v1/namespaces/{NAMESPACE}/jobs", self.of_job),
                             (f"/api/v1/namespaces/{NAMESPACE}/pods", self.of_pod)):
            threading.Thread(target=self.watch, args=(path, status), daemon=True).start()

    def watch(self, path, status):
        """Whoever watches begins anew when the server ends it, however it does, and is told again of what is there."""
        known, server = set(), Server(self.kubeconfig, patience=None)
        while True:
            try:
                for line in server.open("GET", path, watch="true"):
                    self.end(path, json.loads(line), status, known)
            except ConnectionRefusedError:
                # Helm would wait for long.
                print("the API server is gone", file=sys.stderr)
                os._exit(1)
            except (OSError, http.client.HTTPException):
                continue

    def end(self, path, event, status, known):
        meta = event["object"]["metadata"]
        if event["type"] != "ADDED" or meta["uid"] in known:
            return
        known.add(meta["uid"])
        end = {"status": status(event["object"])}
        refusal = self.server.ask("PATCH", f"{path}/{meta['name']}/status", end, MERGE_PATCH).refusal
        self.ended += 1
        self.refusals += [f"{meta['name']} cannot be ended: {refusal}"] if refusal else []

    def of_job(self, job):
        refusal = self.server.create(self.pod_of(job), dry_run=True).refusal
        self.refusals += [f"pod of Job {job['metadata']['name']}: {refusal}"] if refusal else []
        now = job["metadata"]["creationTimestamp"]
        conditions = [
            {"type": kind, "status": "True", "lastTransitionTime": now} for kind in ("SuccessCriteriaMet", "Complete")
        ]
        return {"startTime": now, "completionTime": now, "succeeded": 1, "conditions": conditions}

    def of_pod(self, pod):
        return {"phase": "Succeeded"}
