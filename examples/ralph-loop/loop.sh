#!/usr/bin/env bash
# The loop: an agent, its verifier, and limits on its attempts.
set -euo pipefail
cd "$(dirname "$0")"
baton=${BATON:-baton}
$baton run tasks.md --exec 'node agent.mjs' --verify ./check.sh \
  --max-attempts 6 --retry-delay 10ms --timeout 5m --max-iterations 20 --concurrency 1
