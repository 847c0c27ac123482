// Requests in flight and ended, lengths, settings, the log and the servers: asked for every two seconds while shown.
import { useSignal } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import { ApiError, getJson, request } from '../shared/api';
import type { Config, Ended, Heat, InFlight, Lengths, LogLine, Replica } from './data';
import { clock, number, seconds, share } from './format';
import { t } from './texts';

// Rows of a table; what is beyond is counted.
const MAX_ROWS = 200;

function usePolled<T>(path: string, everyMs: number) {
  const value = useSignal<T | null>(null);
  useEffect(() => {
    const abort = new AbortController();
    const ask = () => {
      if (document.hidden) return;
      getJson<T>(path, abort.signal).then(got => { value.value = got; }, () => { /* the header says that the server is away */ });
    };
    ask();
    const timer = setInterval(ask, everyMs);
    return () => { clearInterval(timer); abort.abort(); };
  }, [path]);
  return value;
}

export function RequestsInFlight() {
  const got = usePolled<{ can_cancel: boolean; count: number; requests: InFlight[] }>('/dashboard/api/requests', 1000);
  const failure = useSignal('');
  const cancel = async (id: number) => {
    failure.value = '';
    try {
      await request(`/dashboard/api/requests/${id}/cancel`, { method: 'POST' });
    } catch (error) {
      if (!(error instanceof ApiError && error.status === 404)) failure.value = t('cancel_failed', { why: (error as Error).message });
    }
  };
  const rows = got.value?.requests.slice(0, MAX_ROWS) ?? [];
  const count = got.value?.count ?? 0;
  return (
    <section class="card wide" aria-labelledby="in-flight">
      <h2 id="in-flight">{t('in_flight')} <span class="count">{count}</span></h2>
      {failure.value && <p class="failure" role="alert">{failure.value}</p>}
      {rows.length === 0 ? <p class="none">{t('nothing')}</p> : (
        <div class="table" tabindex={0} role="group" aria-labelledby="in-flight">
          <table>
            <thead><tr><th>{t('id')}</th><th>{t('phase')}</th><th class="n">{t('age')}</th><th class="n">{t('first')}</th>
              <th class="n">{t('prompt')}</th><th class="n">{t('output')}</th><th class="n">{t('speed')}</th>
              {got.value!.can_cancel && <th><span class="hidden-text">{t('cancel')}</span></th>}</tr></thead>
            <tbody>
              {rows.map(row => (
                <tr key={row.id}>
                  <td class="id" title={row.request_id}>{row.request_id}</td>
                  <td><span class={`phase ${row.phase}`}>{row.phase}</span></td>
                  <td class="n">{seconds(row.age_s)}</td>
                  <td class="n">{seconds(row.ttft_s)}</td>
                  <td class="n" title={t('cached', { n: row.cached_tokens })}>{row.prompt_tokens}</td>
                  <td class="n">{row.output_tokens} / {row.max_tokens}</td>
                  <td class="n">{number(row.tokens_per_s)}</td>
                  {got.value!.can_cancel && (
                    <td><button type="button" class="small danger" aria-label={`${t('cancel')} ${row.request_id}`} onClick={() => void cancel(row.id)}>{t('cancel')}</button></td>
                  )}
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
      {count > rows.length && <p class="none">{t('more', { n: count - rows.length })}</p>}
    </section>
  );
}

function Split({ row }: { row: Ended }) {
  const parts = [['queue', row.queue_s], ['prefill', row.prefill_s], ['decode', row.decode_s]] as const;
  const label = parts.map(([name, s]) => `${t(name)} ${seconds(s)}`).join(', ');
  const total = Math.max(row.total_s, 1e-9);
  let x = 0;
  return (
    <svg class="split" viewBox="0 0 100 10" preserveAspectRatio="none" role="img" aria-label={label}>
      <title>{label}</title>
      {parts.map(([name, s]) => {
        const width = 100 * s / total;
        x += width;
        return <rect key={name} class={name} x={x - width} y="0" width={width} height="10" />;
      })}
    </svg>
  );
}

export function RequestsEnded() {
  const show = useSignal<'slow' | 'failed' | 'newest'>('slow');
  const got = usePolled<{ requests: Ended[] }>(`/dashboard/api/recent?show=${show.value}&limit=50`, 2000);
  const rows = got.value?.requests ?? [];
  return (
    <section class="card wide" aria-labelledby="ended">
      <div class="head">
        <h2 id="ended">{t('ended')}</h2>
        <div class="choice" role="group" aria-labelledby="ended">
          {(['slow', 'failed', 'newest'] as const).map(kind => (
            <button key={kind} type="button" aria-pressed={show.value === kind} onClick={() => { show.value = kind; }}>{t(kind)}</button>
          ))}
        </div>
      </div>
      {rows.length === 0 ? <p class="none">{t('no_ended')}</p> : (
        <div class="table" tabindex={0} role="group" aria-labelledby="ended">
          <table>
            <thead><tr><th>{t('id')}</th><th>{t('time')}</th><th>{t('end')}</th><th class="n">{t('total')}</th><th>{t('split')}</th>
              <th class="n">{t('first')}</th><th class="n">{t('prompt')}</th><th class="n">{t('output')}</th></tr></thead>
            <tbody>
              {rows.map(row => (
                <tr key={row.id}>
                  <td class="id" title={row.request_id}>{row.request_id}</td>
                  <td>{clock(row.ended_at)}</td>
                  <td title={row.error ?? ''}>{row.end}</td>
                  <td class="n">{seconds(row.total_s)}</td>
                  <td><Split row={row} /></td>
                  <td class="n">{seconds(row.ttft_s)}</td>
                  <td class="n">{row.prompt_tokens}</td>
                  <td class="n">{row.output_tokens}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
    </section>
  );
}

function Heatmap({ title, times, heat }: { title: string; times: number[]; heat: Heat }) {
  const most = Math.max(1, ...heat.counts.flat());
  const rows = heat.upper_bounds.length + 1;
  const bound = (j: number) => j < heat.upper_bounds.length ? `≤ ${number(heat.upper_bounds[j])}` : `> ${number(heat.upper_bounds.at(-1))}`;
  const used = heat.upper_bounds.map((_b, j) => heat.counts.some(column => (column[j] ?? 0) > 0));
  const top = Math.min(rows - 1, used.lastIndexOf(true) + 1);
  return (
    <figure class="heat">
      <figcaption>{title}</figcaption>
      <div class="heat-box">
        <div class="bounds" aria-hidden="true"><span>{bound(top)}</span><span>{bound(0)}</span></div>
        <svg viewBox={`0 0 ${Math.max(times.length, 1)} ${top + 1}`} preserveAspectRatio="none" role="img" aria-label={title}>
          {heat.counts.map((column, i) => column.slice(0, top + 1).map((count, j) => count > 0 && (
            <rect key={`${i}-${j}`} x={i} y={top - j} width="1" height="1" fill-opacity={0.15 + 0.85 * count / most}>
              <title>{`${clock(times[i]!)} · ${bound(j)}: ${count}`}</title>
            </rect>
          )))}
        </svg>
      </div>
    </figure>
  );
}

export function LengthMaps() {
  const got = usePolled<Lengths>('/dashboard/api/lengths?range=3600', 10000);
  const lengths = got.value;
  const any = lengths !== null && lengths.prompt_tokens.counts.some(column => column.some(count => count > 0));
  return (
    <section class="card half" aria-labelledby="lengths">
      <h2 id="lengths">{t('lengths')}</h2>
      {!any ? <p class="none">{t('no_lengths')}</p> : (
        <>
          <Heatmap title={t('prompt_lengths')} times={lengths.t} heat={lengths.prompt_tokens} />
          <Heatmap title={t('output_lengths')} times={lengths.t} heat={lengths.output_tokens} />
        </>
      )}
    </section>
  );
}

export function Settings() {
  const got = usePolled<Config>('/dashboard/api/config', 60000);
  const onlyChanged = useSignal(true);
  const groups = (got.value?.groups ?? [])
    .map(group => ({ ...group, settings: group.settings.filter(setting => !onlyChanged.value || setting.changed) }))
    .filter(group => group.settings.length > 0);
  return (
    <section class="card half" aria-labelledby="settings">
      <div class="head">
        <h2 id="settings">{t('settings')}</h2>
        <label class="check"><input type="checkbox" checked={onlyChanged.value} onChange={event => { onlyChanged.value = event.currentTarget.checked; }} /><span>{t('only_changed')}</span></label>
      </div>
      {groups.length === 0 && <p class="none">{t('no_changed')}</p>}
      <div class="scroll" tabindex={0} role="group" aria-labelledby="settings">
        {groups.map(group => (
          <dl key={group.name}>
            {group.settings.map(setting => (
              <div key={setting.name} title={setting.help}><dt>{setting.name}</dt><dd>{String(setting.value ?? '–')}</dd></div>
            ))}
          </dl>
        ))}
      </div>
    </section>
  );
}

export function LogTail() {
  const got = usePolled<{ lines: LogLine[] }>('/dashboard/api/logs?limit=100', 2000);
  return (
    <section class="card wide" aria-labelledby="log">
      <h2 id="log">{t('log')}</h2>
      <div class="scroll log" tabindex={0} role="log" aria-labelledby="log" aria-live="off">
        {(got.value?.lines ?? []).toReversed().map(line => (
          <div key={line.seq} class={line.level}><time>{clock(line.time)}</time> <b>{line.level}</b> {line.text}</div>
        ))}
      </div>
    </section>
  );
}

export function Replicas() {
  const got = usePolled<{ replicas: Replica[] }>('/dashboard/api/replicas', 2000);
  return (
    <section class="card wide" aria-labelledby="replicas">
      <h2 id="replicas">{t('replicas')}</h2>
      <div class="table" tabindex={0} role="group" aria-labelledby="replicas">
        <table>
          <thead><tr><th>{t('address')}</th><th>{t('state')}</th><th>{t('model')}</th><th class="n">{t('running')}</th><th class="n">{t('waiting')}</th>
            <th class="n">{t('rate')}</th><th class="n">{t('ttft_p99')}</th><th class="n">{t('kv')}</th><th class="n">{t('hits')}</th>
            <th class="n">{t('pid')}</th><th class="n">{t('uptime')}</th><th class="n">{t('seen')}</th></tr></thead>
          <tbody>
            {(got.value?.replicas ?? []).map(row => (
              <tr key={row.id}>
                <td title={row.id}>{row.address}</td>
                <td><span class={`server-state ${row.state ?? ''}`}>{row.state ?? '…'}</span>{row.state !== null && row.error && <span class="why"> {row.error}</span>}</td>
                <td>{row.model ?? ''}</td>
                <td class="n">{number(row.running)}</td><td class="n">{number(row.waiting)}</td>
                <td class="n">{number(row.generation_tokens_per_s)}</td><td class="n">{seconds(row.ttft_p99_s)}</td>
                <td class="n">{share(row.kv_usage)}</td><td class="n">{share(row.prefix_hit_rate)}</td>
                <td class="n">{row.pid ?? '–'}</td><td class="n">{seconds(row.uptime_s)}</td>
                <td class="n">{row.id === 'self' ? t('this') : row.last_seen_s === null ? '–' : t('ago', { time: seconds(row.last_seen_s) })}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </section>
  );
}
