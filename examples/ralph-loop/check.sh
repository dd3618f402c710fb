#!/usr/bin/env bash
# The verifier: the project's own tests. What they print is what the agent is told; the end of it says what failed.
cd "$(dirname "$0")/project" && npm test --silent 2>&1 | tail -n 40
exit "${PIPESTATUS[0]}"
