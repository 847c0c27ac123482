// The system prompt and the sampling of the conversation shown.
import { useSignal } from '@preact/signals';
import { remember } from '../shared/browser_store';
import { IconButton } from '../shared/controls';
import { SAMPLING, type SamplingName, type Settings } from './model';
import { active, changeSettings, isSettingsOpen } from './store';
import { t } from './texts';

const NAMES = Object.keys(SAMPLING) as SamplingName[];

function NumberField({ name }: { name: SamplingName }) {
  const { settings } = active.value;
  const { min, max, step } = SAMPLING[name];
  const hint = name === 'temperature' ? t('hint_temperature') : name === 'seed' ? t('hint_seed') : undefined;
  const set = (value: string) => {
    const sampling = { ...settings.sampling };
    const number = Number(value);
    if (value.trim() === '' || !Number.isFinite(number)) delete sampling[name];
    else sampling[name] = Math.min(max, Math.max(min, step >= 1 ? Math.round(number) : number));
    changeSettings({ ...settings, sampling });
  };
  return (
    <label class="field" title={hint}>
      <span>{t(name)}</span>
      <input type="number" name={name} min={min} max={max} step={step} placeholder={t('server_default')} value={settings.sampling[name] ?? ''}
        onChange={event => set(event.currentTarget.value)} />
    </label>
  );
}

export function SettingsPanel() {
  const isKept = useSignal(false);
  const { settings, id } = active.value;
  const change = (changed: Settings) => { isKept.value = false; changeSettings(changed); };
  return (
    <aside class="settings" aria-label={t('settings')} key={id}>
      <header>
        <h2>{t('settings')}</h2>
        <IconButton icon="close" label={t('settings_close')} onClick={() => { isSettingsOpen.value = false; }} />
      </header>
      <label class="field">
        <span>{t('system')}</span>
        <textarea rows={5} name="system" placeholder={t('system_hint')} value={settings.system ?? ''}
          onChange={event => change({ ...settings, system: event.currentTarget.value })} />
      </label>
      <h3>{t('sampling')}</h3>
      <p class="remark">{t('sampling_hint')}</p>
      <div class="grid">{NAMES.map(name => <NumberField key={name} name={name} />)}</div>
      <label class="field">
        <span>{t('stop_strings')}</span>
        <textarea rows={2} name="stop" value={(settings.stop ?? []).join('\n')} onChange={event => {
          const { stop: _, ...rest } = settings;
          const stop = event.currentTarget.value.split('\n').filter(line => line !== '').slice(0, 16);
          change(stop.length > 0 ? { ...rest, stop } : rest);
        }} />
      </label>
      <div class="actions">
        <button type="button" class="plain" onClick={() => change({ sampling: {} })}>{t('reset')}</button>
        <button type="button" class="plain" onClick={() => { remember('settings', JSON.stringify(settings)); isKept.value = true; }}>
          {t(isKept.value ? 'for_new_done' : 'for_new')}
        </button>
      </div>
    </aside>
  );
}
