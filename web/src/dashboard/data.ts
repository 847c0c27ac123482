// What the server tells of itself (docs/dashboard-api.md), kept up to date: the stream of events while it lasts, begun
// again with the history when it breaks.
import { signal } from '@preact/signals';
import { ApiError, getJson, readEvents, request } from '../shared/api';

export interface Spread { count: number; mean: number | null; p50: number | null; p90: number | null; p95: number | null; p99: number | null }

export interface Summary {
  time: number;
  server: { state: string; state_message: string; version: string; build: string; model?: string; max_model_len?: number;
    backend?: string; uptime_s: number };
  now: { running?: number; waiting?: number; kv_usage?: number; connections: number; step_running_s?: number;
    memory_bytes?: number; memory_budget_bytes?: number };
  minute: { seconds: number; requests: number; requests_per_s: number; prompt_tokens_per_s: number;
    generation_tokens_per_s: number; ttft_s: Spread; itl_s: Spread; e2e_s: Spread; queue_s: Spread;
    prefix_hit_rate: number | null; errors: number; refused: number; cpu_cores: number | null };
  totals: { requests: number; generation_tokens: number; prompt_tokens: number };
}

export interface InFlight { id: number; request_id: string; kind: string; phase: string; age_s: number; queue_s: number | null;
  ttft_s: number | null; prompt_tokens: number; cached_tokens: number; output_tokens: number; max_tokens: number; tokens_per_s: number | null }
export interface Ended { id: number; request_id: string; kind: string; ended_at: number; end: string; error: string | null;
  prompt_tokens: number; output_tokens: number; total_s: number; queue_s: number; prefill_s: number; decode_s: number; ttft_s: number | null }
export interface Lengths { t: number[]; prompt_tokens: Heat; output_tokens: Heat }
export interface Heat { upper_bounds: number[]; counts: number[][] }
export interface Config { can_cancel: boolean; groups: { name: string; settings: { name: string; value: string | boolean | null; help: string; changed: boolean }[] }[] }
export interface LogLine { seq: number; time: number; level: string; text: string }
export interface Replica { id: string; state: string | null; address: string; model: string | null; version: string | null; uptime_s: number | null; running: number | null;
  waiting: number | null; generation_tokens_per_s: number | null; ttft_p99_s: number | null; kv_usage: number | null; prefix_hit_rate: number | null;
  pid: number | null; last_seen_s: number | null; error: string | null }

interface History { step_s: number; t: number[]; series: Record<string, (number | null)[]> }
type Column = (number | null)[];

export const summary = signal<Summary | null>(null);
export const connected = signal(false);
export const range = signal(300);
// Columns of the charts; the arrays are replaced with every new point.
export const history = signal<History>({ step_s: 1, t: [], series: {} });

// Adds a point and drops what is older than the range, so that an open page does not grow.
export function appended(old: History, seconds: number, t: number, values: Record<string, number | null>): History {
  if (old.t.length > 0 && t <= old.t[old.t.length - 1]!) return old;
  const times = [...old.t, t];
  let drop = 0;
  while (drop < times.length && times[drop]! <= t - seconds) ++drop;
  const series: Record<string, Column> = {};
  for (const name of Object.keys(old.series)) series[name] = [...old.series[name]!, values[name] ?? null].slice(drop);
  return { step_s: old.step_s, t: times.slice(drop), series };
}

const points = 600;

async function loadHistory(abort: AbortSignal): Promise<void> {
  history.value = await getJson<History>(`/dashboard/api/history?range=${range.value}&points=${points}`, abort);
}

async function follow(abort: AbortSignal): Promise<void> {
  await loadHistory(abort);
  const response = await request('/dashboard/api/events', { signal: abort });
  let loaded = Date.now();
  for await (const { event, data } of readEvents(response)) {
    connected.value = true;
    if (event === 'summary') summary.value = JSON.parse(data) as Summary;
    if (event !== 'sample') continue;
    if (history.value.step_s === 1) {
      const sample = JSON.parse(data) as { t: number; series: Record<string, number | null> };
      history.value = appended(history.value, range.value, sample.t, sample.series);
    } else if (Date.now() - loaded > history.value.step_s * 1000) {
      loaded = Date.now();
      await loadHistory(abort);
    }
  }
}

// Runs until `abort`; a lost server is asked again every two seconds.
export async function run(abort: AbortSignal): Promise<void> {
  while (!abort.aborted) {
    try {
      await follow(abort);
    } catch (error) {
      if (abort.aborted) return;
      if (error instanceof ApiError && error.status === 401) return;
    }
    connected.value = false;
    await new Promise(resolve => setTimeout(resolve, 2000));
  }
}
