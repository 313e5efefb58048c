#!/usr/bin/env bash
# Runs a command with the project's Node.js and the npm packages' commands first in PATH.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
node=$("$root/.tools/node.sh")
export PATH="$node:$root/node_modules/.bin:$PATH"
export SEALGATE_CACHE=${SEALGATE_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/sealgate}
exec "$@"
