#!/bin/bash
# The benchmark of the blueprint "Llama 3 with vLLM and Ray Serve": vllm_benchmark.sh MODEL USERS.
# Needs pagoda on the PATH, or PAGODA=/path/to/pagoda. TOKENIZER and TEXT_FILE, when set, are LLMPerf's
# tokenizer and sonnet.txt.
set -euo pipefail
model=${1:-NousResearch/Meta-Llama-3-8B-Instruct}
users=${2:-1}
export OPENAI_API_KEY=${OPENAI_API_KEY:-EMPTY}
# More servers: put ";http://localhost:8001/v1;http://localhost:8002/v1" behind it.
export OPENAI_API_BASE=${OPENAI_API_BASE:-http://localhost:8000/v1}
"${PAGODA:-pagoda}" bench serve --compat llmperf \
  --model "$model" \
  --mean-input-tokens 512 \
  --stddev-input-tokens 20 \
  --mean-output-tokens 245 \
  --stddev-output-tokens 20 \
  --max-num-completed-requests $((users * 8)) \
  --timeout 7200 \
  --num-concurrent-requests "$users" \
  --results-dir "vllm_bench_results/$(date '+%Y-%m-%d-%H-%M-%S')" \
  --llm-api openai \
  --additional-sampling-params '{}' \
  ${TOKENIZER:+--tokenizer "$TOKENIZER"} \
  ${TEXT_FILE:+--text-file "$TEXT_FILE"}
