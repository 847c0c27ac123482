// A server with the pages of a real one and a dashboard's data by a clock of its own: seconds pass when a test says so.
import { createServer } from 'node:http';

const SERIES = ['running', 'waiting', 'kv_usage', 'requests_per_s', 'prompt_tokens_per_s', 'generation_tokens_per_s', 'ttft_p50_s', 'ttft_p95_s',
  'ttft_p99_s', 'itl_p50_s', 'itl_p95_s', 'itl_p99_s', 'e2e_p50_s', 'e2e_p95_s', 'e2e_p99_s', 'queue_mean_s', 'prefill_mean_s', 'decode_mean_s',
  'prefix_hit_rate', 'draft_acceptance', 'preemptions_per_s', 'step_tokens', 'step_mean_s', 'goodput', 'errors_per_s', 'refused_per_s', 'cpu_cores',
  'memory_bytes'];

export class FakeDashboard {
  now = 1_790_000_000;  // Unix seconds
  #watchers = new Set();

  // The pages come from `origin`, a real server.
  static async start(origin) {
    const fake = new FakeDashboard();
    fake.origin = origin;
    fake.server = createServer((request, response) => void fake.#answer(request, response));
    await new Promise(resolve => fake.server.listen(0, '127.0.0.1', resolve));
    fake.url = `http://127.0.0.1:${fake.server.address().port}`;
    return fake;
  }

  stop() {
    for (const watcher of this.#watchers) watcher.destroy();
    this.server.close();
  }

  get numWatchers() { return this.#watchers.size; }
  // Differs from second to second, and is what the first tile shows.
  get running() { return this.now % 997; }

  // Lets seconds pass: a point of the charts for each, and for the last what the tiles show.
  pass(seconds) {
    let events = '';
    for (let i = 0; i < seconds; ++i) {
      ++this.now;
      const series = Object.fromEntries(SERIES.map((name, at) => [name, (this.now * (at + 1)) % 101 / 7]));
      events += `event: sample\ndata: ${JSON.stringify({ t: this.now, series, ends_per_s: {} })}\n\n`;
    }
    events += `event: summary\ndata: ${JSON.stringify(this.#summary())}\n\n`;
    for (const watcher of this.#watchers) watcher.write(events);
  }

  #summary() {
    const spread = { count: 3, mean: 0.1, p50: 0.1, p90: 0.1, p95: 0.1 + this.now % 7 / 10, p99: 0.2 };
    return {
      time: this.now,
      server: { state: 'RUNNING', state_message: '', version: '0', build: 'x', model: 'm', backend: 'cpu', uptime_s: this.now - 1_789_990_000 },
      now: { running: this.running, waiting: 0, kv_usage: 0.5, connections: 1, memory_bytes: 1e9 },
      minute: { seconds: 60, requests: 9, requests_per_s: 1, prompt_tokens_per_s: 10, generation_tokens_per_s: this.now % 50, ttft_s: spread, itl_s: spread,
        e2e_s: spread, queue_s: spread, prefix_hit_rate: 0.5, errors: 0, refused: 0, cpu_cores: 1 },
      totals: { requests: 1, generation_tokens: 1, prompt_tokens: 1 },
    };
  }

  // As many requests at any time, none of them for long.
  #requests() {
    return { can_cancel: true, count: 20, requests: Array.from({ length: 20 }, (_, i) => ({ id: this.now + i, request_id: `r${this.now + i}`,
      kind: 'chat', phase: 'decode', age_s: i, queue_s: 0, ttft_s: 0.1, prompt_tokens: 9, cached_tokens: 0, output_tokens: i, max_tokens: 99,
      tokens_per_s: 20 })) };
  }

  #ended() {
    return { requests: Array.from({ length: 50 }, (_, i) => ({ id: this.now - i, request_id: `e${this.now - i}`, kind: 'chat', ended_at: this.now - i,
      end: 'stop', error: null, prompt_tokens: 9, output_tokens: 9, total_s: 2, queue_s: 0.5, prefill_s: 0.5, decode_s: 1, ttft_s: 1 })) };
  }

  #logs() {
    return { lines: Array.from({ length: 100 }, (_, i) => ({ seq: this.now + i, time: this.now, level: 'info', text: `line ${this.now + i}` })) };
  }

  #lengths() {
    const heat = { upper_bounds: [1, 10, 100], counts: Array.from({ length: 60 }, (_, i) => [i % 3, (i + this.now) % 5, 1, 0]) };
    return { t: Array.from({ length: 60 }, (_, i) => this.now - 60 * i), prompt_tokens: heat, output_tokens: heat };
  }

  async #answer(request, response) {
    const path = request.url.split('?')[0];
    const json = body => response.setHeader('content-type', 'application/json').end(JSON.stringify(body));
    if (path === '/dashboard/api/events') {
      response.writeHead(200, { 'content-type': 'text/event-stream' }).write('event: hello\ndata: {}\n\n');
      this.#watchers.add(response);
      response.on('close', () => this.#watchers.delete(response));
    } else if (path === '/dashboard/api/history') {
      json({ step_s: 1, t: [], series: Object.fromEntries(SERIES.map(name => [name, []])) });
    } else if (path === '/dashboard/api/requests') {
      json(this.#requests());
    } else if (path === '/dashboard/api/recent') {
      json(this.#ended());
    } else if (path === '/dashboard/api/logs') {
      json(this.#logs());
    } else if (path === '/dashboard/api/lengths') {
      json(this.#lengths());
    } else if (path === '/dashboard/api/config') {
      json({ can_cancel: true, groups: [] });
    } else if (path === '/dashboard/api/replicas') {
      json({ replicas: [] });
    } else {
      const page = await fetch(this.origin + path, { headers: { accept: request.headers.accept ?? '*/*' } });
      response.writeHead(page.status, { 'content-type': page.headers.get('content-type') ?? '' });
      response.end(Buffer.from(await page.arrayBuffer()));
    }
  }
}
