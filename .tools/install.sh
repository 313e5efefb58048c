#!/usr/bin/env bash
# Puts in place what a target needs, says what it does and how long it took, and does nothing where all is there:
#   install.sh packages                      npm packages of package-lock.json, into node_modules
#   install.sh debian [--optional] NAME...   Debian packages (real servers and clients of the tests)
#   install.sh cluster                       programs of a Kubernetes cluster: all with root, else those that need none
#   install.sh oldest-kubernetes             the API server of the oldest Kubernetes that is supported
#   install.sh prometheus                    Prometheus and promtool, built from their Go module
#   install.sh clients                       awscli and boto3 of .tools/clients.txt, in a venv of the cache folder
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cache=${SEALGATE_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/sealgate}

# timed "what" command...: runs the command, its output shown only when it fails.
timed() {
  local what=$1 log started=$SECONDS
  shift
  printf '%s ... ' "$what"
  log=$(mktemp)
  if "$@" >"$log" 2>&1; then
    printf 'done in %s s\n' "$((SECONDS - started))"
    rm -f "$log"
  else
    printf 'FAILED after %s s\n' "$((SECONDS - started))"
    cat "$log" >&2
    rm -f "$log"
    return 1
  fi
}

packages() {
  local node stamp wanted
  node=$("$root/.tools/node.sh")
  stamp=$root/node_modules/.sealgate-lock
  wanted=$(cat "$root/package-lock.json" "$root/package.json" | sha256sum | cut -d' ' -f1)
  if [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$wanted" ]; then return; fi
  # npm itself runs on the new Node: package.json asks for it, and some packages' optional parts depend on it.
  (cd "$root" && PATH="$node:$PATH" timed 'Installing the npm packages of package-lock.json' npm ci --no-audit --no-fund)
  printf '%s\n' "$wanted" >"$stamp"
}

debian() {
  local optional=no missing=() reason='' name
  if [ "${1:-}" = --optional ]; then optional=yes; shift; fi
  for name in "$@"; do
    if ! { command -v dpkg-query >/dev/null && [ "$(dpkg-query -W -f='${db:Status-Status}' "$name" 2>/dev/null)" = installed ]; }; then missing+=("$name"); fi
  done
  if [ "${#missing[@]}" -eq 0 ]; then return; fi
  if ! command -v apt-get >/dev/null; then reason='this machine has no apt-get'
  elif [ "$(id -u)" -ne 0 ]; then reason="installing needs root (run: sudo apt-get install --no-install-recommends ${missing[*]})"
  fi
  if [ -n "$reason" ]; then
    echo "Not installed: ${missing[*]}: $reason" >&2
    [ "$optional" = yes ] && return
    echo 'These tests run against real servers and clients and are not skipped: put the packages in place and try again.' >&2
    return 1
  fi
  export DEBIAN_FRONTEND=noninteractive
  timed 'Reading the lists of Debian packages' apt-get -q update || [ "$optional" = yes ]
  timed "Installing the Debian packages ${missing[*]}" apt-get -q install -y --no-install-recommends "${missing[@]}" || [ "$optional" = yes ]
}

cluster() {
  if [ "$(id -u)" -eq 0 ]; then "$root/.tools/clusterBinaries.sh" all; else "$root/.tools/clusterBinaries.sh" control-plane; fi
}

oldest-kubernetes() { "$root/.tools/clusterBinaries.sh" kube-apiserver-1.32; }

prometheus() { "$root/.tools/clusterBinaries.sh" prometheus; }

clients() {
  local home=$cache/clients wanted python=python3
  if [ -x /usr/bin/python3 ]; then python=/usr/bin/python3; fi # Debian's own, whatever comes first in PATH
  wanted=$({ cat "$root/.tools/clients.txt"; "$python" --version; } | sha256sum | cut -d' ' -f1)
  if [ -f "$home/.installed" ] && [ "$(cat "$home/.installed")" = "$wanted" ]; then return; fi
  rm -rf "$home"
  mkdir -p "$cache"
  timed 'Making a Python environment for aws-cli and boto3' "$python" -m venv "$home"
  timed 'Installing aws-cli and boto3 from PyPI' "$home/bin/pip" install --disable-pip-version-check --no-input --no-deps -r "$root/.tools/clients.txt"
  printf '%s\n' "$wanted" >"$home/.installed"
}

what=$1
shift
case "$what" in
  packages | debian | cluster | oldest-kubernetes | prometheus | clients) "$what" "$@" ;;
  *) echo "usage: install.sh packages | debian [--optional] NAME... | cluster | oldest-kubernetes | prometheus | clients" >&2; exit 2 ;;
esac
