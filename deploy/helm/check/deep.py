"""Judges the chart at a real API server, which `cargo xtask chart-deep` starts and names by a kubeconfig.

    deep.py KUBECONFIG
"""

import signal
import sys

import api_server
import chart
import server_faults
from releases import Cluster, lived, next_day, pod_of, upgraded


def main(kubeconfig):
    # Helm's library keeps Python from noticing an interrupt before it is done.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    loaded = chart.load()
    matrix = list(chart.cases(loaded))
    changed = [next_day(loaded, case) for case in matrix]
    try:
        server = api_server.connect(kubeconfig)
        api_server.furnish(server, namespaces(matrix) - {chart.NAMESPACE})
        print(f"Kubernetes {server.version()} is there", flush=True)
        problems = judge(server, kubeconfig, loaded, matrix, changed)
    except (OSError, RuntimeError) as error:
        sys.exit(f"the API server could not be asked: {error}")
    return 1 if problems else 0


def judge(server, kubeconfig, loaded, matrix, changed):
    """Tells what was looked at and what was wrong; gives the number of what was wrong."""
    cluster, stagehands = Cluster(server, kubeconfig, loaded), api_server.Stagehands(kubeconfig, pod_of)
    problems, fresh = 0, {}
    for case in [*matrix, *changed]:
        fresh[case.name], wrong = lived(cluster, case)
        tested = ", tested" if case.of_kind("Pod") else ""
        problems += tell(f"{case.name}: {len(case.objects)} objects installed, once more{tested}, removed", wrong)
    default, everything = (next(case for case in matrix if case.name == name) for name in ("default", "everything"))
    wrong = [*filter(None, [cluster.install(everything)]), *server_faults.unnoticed(server, everything)]
    problems += tell(f"{server_faults.PLANTED} planted faults refused", [*wrong, *cluster.remove(everything)])
    for case, tomorrow in zip(matrix, changed):
        # Everybody begins with little; hardly anybody changes from one elaborate installation to another.
        others = [tomorrow, *(other for other in matrix if case is default and other is not case)]
        wrong = upgraded(cluster, case, others, fresh)
        names = "; ".join(other.name for other in others)
        problems += tell(f"{case.name}: upgraded and rolled back, to and from: {names}", wrong)
    return problems + tell(f"{stagehands.ended} jobs and tests run", sorted({*stagehands.refusals}))


def namespaces(cases):
    named = {found["metadata"].get("namespace") for case in cases for found in case.objects}
    return named - {None}


def tell(what, wrong):
    print(f"  {what}" + (", but" if wrong else ""), flush=True)
    for each in wrong:
        print(f"    {each}", flush=True)
    return len(wrong)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
