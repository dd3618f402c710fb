#!/bin/sh
# The title, and the first sentence of the page.
read -r title
read -r text
printf -- '- %s: %s.\n' "$title" "${text%%.*}"
