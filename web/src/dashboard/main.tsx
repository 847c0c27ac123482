// The dashboard: is it up, is it queueing, is it slow, why, who.
import '../shared/base.css';
import './dashboard.css';
import { signal } from '@preact/signals';
import { render } from 'preact';
import { useEffect } from 'preact/hooks';
import { KeyDialog, Preferences } from '../shared/controls';
import { Chart } from './chart';
import { connected, range, run, summary } from './data';
import { bytes, number, seconds, share } from './format';
import { LengthMaps, LogTail, Replicas, RequestsEnded, RequestsInFlight, Settings } from './tables';
import { t } from './texts';

const attempt = signal(0);

function Header() {
  const server = summary.value?.server;
  const state = connected.value ? server?.state ?? '' : '…';
  return (
    <header class="top">
      <a class="home" href="/">Pagoda</a>
      <h1>{t('title')}</h1>
      <span class={`state ${connected.value ? state : 'lost'}`} title={server?.state_message}>{state}</span>
      {server && <span class="about">{server.model ?? ''} · {server.backend ?? ''} · {server.version} · {t('up', { time: seconds(server.uptime_s) })}</span>}
      <span class="space" />
      <select aria-label={t('range')} value={range.value} onChange={event => { range.value = Number(event.currentTarget.value); ++attempt.value; }}>
        <option value={300}>{t('minutes_5')}</option><option value={3600}>{t('hour_1')}</option><option value={86400}>{t('hours_24')}</option>
      </select>
      <a class="plain" href="/">{t('chat')}</a>
      <Preferences />
    </header>
  );
}

function Tile({ name, value, note, bad }: { name: string; value: string; note: string; bad?: boolean }) {
  return <li class={`card tile ${bad ? 'bad' : ''}`}><span>{name}</span><b>{value}</b><small>{note}</small></li>;
}

function Tiles() {
  const s = summary.value;
  const now = t('now');
  const minute = t('last_minute');
  return (
    <ul class="tiles">
      <Tile name={t('running')} value={number(s?.now.running)} note={now} />
      <Tile name={t('waiting')} value={number(s?.now.waiting)} note={now} bad={(s?.now.waiting ?? 0) > 0} />
      <Tile name={t('rate')} value={number(s?.minute.generation_tokens_per_s)} note={minute} />
      <Tile name={t('prompts')} value={number(s?.minute.prompt_tokens_per_s)} note={minute} />
      <Tile name={t('ttft')} value={seconds(s?.minute.ttft_s.p95)} note={minute} />
      <Tile name={t('itl')} value={seconds(s?.minute.itl_s.p95)} note={minute} />
      <Tile name={t('kv')} value={share(s?.now.kv_usage)} note={now} bad={(s?.now.kv_usage ?? 0) > 0.95} />
      <Tile name={t('hits')} value={share(s?.minute.prefix_hit_rate)} note={minute} />
      <Tile name={t('memory')} value={bytes(s?.now.memory_bytes)} note={now} />
      <Tile name={t('errors')} value={`${number(s?.minute.errors)} · ${number(s?.minute.refused)}`} note={minute} bad={(s?.minute.errors ?? 0) > 0} />
    </ul>
  );
}

const percentiles = (name: string) => ['p50', 'p95', 'p99'].map(p => ({ name: `${name}_${p}_s`, label: p }));

function Page() {
  const tries = attempt.value;
  useEffect(() => {
    const abort = new AbortController();
    void run(abort.signal);
    return () => abort.abort();
  }, [tries]);
  return (
    <>
      <Header />
      <main>
        {!connected.value && summary.value && <p class="failure" role="alert">{t('lost')}</p>}
        <Tiles />
        <div class="grid">
          <Chart title={t('chart_requests')} format={number} lines={[{ name: 'running', label: t('s_running') }, { name: 'waiting', label: t('s_waiting') }]} />
          <Chart title={t('chart_tokens')} format={number} lines={[{ name: 'generation_tokens_per_s', label: t('s_output') }, { name: 'prompt_tokens_per_s', label: t('s_prompt') }]} />
          <Chart title={t('chart_ttft')} format={seconds} lines={percentiles('ttft')} />
          <Chart title={t('chart_itl')} format={seconds} lines={percentiles('itl')} />
          <Chart title={t('chart_kv')} format={share} lines={[{ name: 'kv_usage', label: t('s_kv') }, { name: 'prefix_hit_rate', label: t('s_hits') }]} />
          <Chart title={t('chart_errors')} format={number} lines={[{ name: 'errors_per_s', label: t('s_errors') }, { name: 'refused_per_s', label: t('s_refused') }]} />
          <RequestsInFlight />
          <RequestsEnded />
          <LengthMaps />
          <Settings />
          <Replicas />
          <LogTail />
        </div>
      </main>
      <KeyDialog onKey={() => { ++attempt.value; }} />
    </>
  );
}

render(<Page />, document.getElementById('app')!);
