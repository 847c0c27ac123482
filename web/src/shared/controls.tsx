// Small controls that both pages have: icon buttons, language and theme, dialogs, the key dialog.
import { useSignal } from '@preact/signals';
import type { ComponentChildren } from 'preact';
import { useEffect, useId, useRef } from 'preact/hooks';
import { apiKey, keyWanted, setApiKey } from './api';
import { Icon, type IconName } from './icons';
import { chooseLanguage, language, texts } from './language';
import { chooseTheme, type Theme, theme } from './theme';

const t = texts({
  en: {
    close: 'Close', theme_system: 'Colours: as the system', theme_light: 'Colours: light', theme_dark: 'Colours: dark',
    language: '한국어로 보기', key_title: 'API key', key_text: 'This server answers with an API key only. It is sent to this server and nowhere else.',
    key_wrong: 'The server did not take this key.', key: 'Key', keep: 'Remember in this browser', go: 'Continue',
  },
  ko: {
    close: '닫기', theme_system: '색상: 시스템 설정', theme_light: '색상: 밝게', theme_dark: '색상: 어둡게',
    language: 'Switch to English', key_title: 'API 키', key_text: '이 서버는 API 키가 있어야 응답합니다. 키는 이 서버로만 전송됩니다.',
    key_wrong: '서버가 이 키를 받아들이지 않았습니다.', key: '키', keep: '이 브라우저에 저장', go: '계속',
  },
});

export interface IconButtonProps {
  icon: IconName;
  label: string;
  onClick: () => void;
  disabled?: boolean;
  class?: string;
  pressed?: boolean;
  shortcut?: string;
}

export function IconButton({ icon, label, onClick, disabled, class: more = '', pressed, shortcut }: IconButtonProps) {
  return (
    <button type="button" class={`icon-button ${more}`} aria-label={label} title={shortcut ? `${label} (${shortcut})` : label}
      aria-pressed={pressed} disabled={disabled} onClick={onClick}>
      <Icon name={icon} />
    </button>
  );
}

const NEXT_THEME: Record<Theme, Theme> = { system: 'light', light: 'dark', dark: 'system' };
const THEME_ICON: Record<Theme, IconName> = { system: 'half', light: 'sun', dark: 'moon' };

export function Preferences() {
  return (
    <div class="preferences">
      <button type="button" class="icon-button language" aria-label={t('language')} title={t('language')}
        lang={language.value === 'en' ? 'ko' : 'en'} onClick={() => chooseLanguage(language.value === 'en' ? 'ko' : 'en')}>
        {language.value === 'en' ? '한' : 'En'}
      </button>
      <IconButton icon={THEME_ICON[theme.value]} label={t(`theme_${theme.value}`)}
        onClick={() => chooseTheme(NEXT_THEME[theme.value])} />
    </div>
  );
}

export interface DialogProps {
  title: string;
  onClose?: () => void;
  children: ComponentChildren;
  class?: string;
}

// A modal dialog: the browser keeps the focus inside and gives it back.
export function Dialog({ title, onClose, children, class: more = '' }: DialogProps) {
  const element = useRef<HTMLDialogElement>(null);
  const id = useId();
  useEffect(() => { element.current!.showModal(); }, []);
  return (
    <dialog ref={element} class={`dialog ${more}`} aria-labelledby={id}
      onCancel={event => { event.preventDefault(); onClose?.(); }}
      onClick={event => { if (event.target === element.current) onClose?.(); }}>
      <div class="dialog-body">
        <header>
          <h2 id={id}>{title}</h2>
          {onClose && <IconButton icon="close" label={t('close')} onClick={onClose} />}
        </header>
        {children}
      </div>
    </dialog>
  );
}

// Asks for the API key while one is wanted; then calls `onKey`, to try again.
export function KeyDialog({ onKey }: { onKey: () => void }) {
  const keep = useSignal(true);
  const value = useSignal('');
  if (!keyWanted.value) return null;
  return (
    <Dialog title={t('key_title')}>
      <form onSubmit={event => {
        event.preventDefault();
        if (value.value.trim() === '') return;
        setApiKey(value.value, keep.value);
        value.value = '';
        onKey();
      }}>
        <p>{t(apiKey() === '' ? 'key_text' : 'key_wrong')}</p>
        <label class="field">
          <span>{t('key')}</span>
          <input type="password" autocomplete="current-password" autofocus value={value.value}
            onInput={event => { value.value = event.currentTarget.value; }} />
        </label>
        <label class="check">
          <input type="checkbox" checked={keep.value} onChange={event => { keep.value = event.currentTarget.checked; }} />
          <span>{t('keep')}</span>
        </label>
        <div class="actions"><button class="primary" type="submit">{t('go')}</button></div>
      </form>
    </Dialog>
  );
}
