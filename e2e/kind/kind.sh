#!/usr/bin/env bash
# Kubernetes in a container engine, for machines that have one:
#   kind.sh up     makes the cluster and writes its kubeconfig to .cluster/kubeconfig
#   kind.sh down   removes it
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
state=$root/.cluster

# kind uses docker where nothing else is said.
if ! docker info >/dev/null 2>&1; then export KIND_EXPERIMENTAL_PROVIDER=podman; fi

case "${1:-}" in
  up)
    mkdir -p "$state"
    if kind get clusters 2>/dev/null | grep -qx sealgate; then
      kind export kubeconfig --name sealgate --kubeconfig "$state/kubeconfig"
    else
      kind create cluster --config "$here/kind.yaml" --kubeconfig "$state/kubeconfig" --wait 120s
    fi
    printf '\n  export KUBECONFIG=%s\n  kubectl get pods -A\n' "$state/kubeconfig"
    ;;
  down)
    kind delete cluster --name sealgate --kubeconfig "$state/kubeconfig"
    rm -rf "$state"
    ;;
  *) echo 'usage: kind.sh up | down' >&2; exit 2 ;;
esac
