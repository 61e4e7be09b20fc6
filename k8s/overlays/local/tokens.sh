#!/usr/bin/env bash
# Create the namespace, and for each bot that has none a random token, which opens nothing but the sandbox.
# Usage: k8s/overlays/local/tokens.sh
set -euo pipefail
cd "$(dirname "$0")/../../bots"
bots() { kubectl ${SKAFFOLD_KUBE_CONTEXT:+--context "$SKAFFOLD_KUBE_CONTEXT"} "$@"; }

bots get namespace persona-bots >/dev/null 2>&1 || bots create namespace persona-bots
for bot in */; do
  secret=${bot%/}-telegram
  bots -n persona-bots get secret "$secret" >/dev/null 2>&1 ||
    python3 -c 'import secrets, sys, zlib
print(zlib.crc32(sys.argv[1].encode()), secrets.token_urlsafe(24), sep=":", end="")' "${bot%/}" |
    bots -n persona-bots create secret generic "$secret" --from-file=token=/dev/stdin
done
