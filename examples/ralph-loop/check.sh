#!/usr/bin/env bash
# The verifier: the project's tests. The end of their output names the failures, and becomes the agent's feedback.
cd "$(dirname "$0")/project" && npm test --silent 2>&1 | tail -n 40
exit "${PIPESTATUS[0]}"
