#!/bin/sh
# Checks the output on stdin: exit code 0 accepts it, and the printed text is the feedback.
grep -q please || { echo "say please"; exit 1; }
