#!/usr/bin/env bash
set -euo pipefail
cd "$(dirname "$0")"
baton=${BATON:-baton}
settings=(tickets.csv --template 'Sort this ticket of {{customer}}: {{text}}'
  --executor claude --model claude-haiku-5-5 --output-schema schema.json --max-output-tokens 1000
  --verifier claude --judge-model claude-sonnet-5-5 --criteria 'The topic fits the ticket, and the summary names the request of the customer.')

$baton plan "${settings[@]}"
$baton run "${settings[@]}" --max-cost 1 "$@"
$baton export --format csv --status completed
