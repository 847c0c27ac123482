#!/bin/bash
# The repository's client example and a two-user benchmark against a Ray deployment: run.sh [MODEL].
# Needs `ray`, `serve` and the pagoda package (pip install "ray[serve]" openai python/). Starts a cluster on this
# machine and stops it at the end; `ray stop` ends every Ray of this user here.
set -euo pipefail
cd "$(dirname "$0")/../.."
model=${1:-models/demo}
finish() {
  [ -z "${application:-}" ] || kill "$application" 2>/dev/null || true
  ray stop >/dev/null
}
trap finish EXIT
ray start --head --disable-usage-stats
serve run pagoda.serve:build_app model="$model" num_cpus=0.3 &
application=$!
for _ in $(seq 600); do
  curl -sf http://127.0.0.1:8000/health >/dev/null && break
  kill -0 "$application"
  sleep 0.2
done
pagoda status
OPENAI_BASE_URL=http://127.0.0.1:8000/v1 python3 examples/openai_client.py
pagoda bench serve --base-url http://127.0.0.1:8000/v1 -c 2 -d 5 --output-tokens 32
