#!/bin/sh
# Does the task on stdin: fails on one task, and is polite only after feedback.
read -r task || true
case $task in *weather*) echo "the kitchen does not do weather" >&2; exit 1 ;; esac
echo "${task#Ask for }${BATON_FEEDBACK:+, please}"
