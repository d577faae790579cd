#!/bin/sh
# Asks production which version it serves: verify.sh URL VERSION.
set -eu
served=$(curl --fail --silent --show-error --max-time 10 "$1/version")
if [ "$served" != "$2" ]; then
  echo "production serves $served, not $2" >&2
  exit 1
fi
echo "production serves $served"
