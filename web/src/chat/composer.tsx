// Where messages are written: text, attached files, send and stop.
import { signal, useSignal } from '@preact/signals';
import { useEffect, useRef } from 'preact/hooks';
import { IconButton } from '../shared/controls';
import { Icon } from '../shared/icons';
import { live, send, stopActive } from './generate';
import type { Attachment } from './model';
import { active, editing, say, serverState } from './store';
import { isBusyElsewhere } from './tabs';
import { t } from './texts';

const MAX_FILE_BYTES = 2 << 20;

const attached = signal<Attachment[]>([]);
export const isDropping = signal(false);

export async function attach(files: Iterable<File>): Promise<void> {
  for (const file of files) {
    if (file.size > MAX_FILE_BYTES) {
      say(t('too_large', { name: file.name, max: `${MAX_FILE_BYTES >> 20} MB` }));
      continue;
    }
    try {
      const text = new TextDecoder('utf-8', { fatal: true }).decode(await file.arrayBuffer());
      if (text.includes('\0')) throw new TypeError();
      attached.value = [...attached.value, { name: file.name, text }];
    } catch {
      say(t('not_text', { name: file.name }));
    }
  }
}

export function Composer() {
  const field = useRef<HTMLTextAreaElement>(null);
  const picker = useRef<HTMLInputElement>(null);
  const text = useSignal('');
  const isLive = live.value.has(active.value.id);
  const isElsewhere = isBusyElsewhere(active.value.id);
  const canSend = (text.value.trim() !== '' || attached.value.length > 0) && !isLive && !isElsewhere && serverState.value === 'ready';

  useEffect(() => {
    if (window.matchMedia('(hover: hover)').matches) field.current!.focus();
  }, [active.value.id]);
  // As tall as its text, up to the limit of the style sheet.
  useEffect(() => {
    const element = field.current!;
    element.style.height = 'auto';
    element.style.height = `${element.scrollHeight}px`;
  }, [text.value]);

  const submit = () => {
    if (!canSend) return;
    send(text.value.trim(), attached.value);
    text.value = '';
    attached.value = [];
  };
  const onKeyDown = (event: KeyboardEvent) => {
    // Enter that ends the composition of a Korean syllable sends nothing.
    if (event.isComposing || event.keyCode === 229) return;
    if (event.key === 'Enter' && !event.shiftKey) {
      event.preventDefault();
      submit();
    } else if (event.key === 'ArrowUp' && text.value === '') {
      const last = active.value.messages.findLast(({ role }) => role === 'user');
      if (last) { event.preventDefault(); editing.value = last.id; }
    }
  };
  return (
    <form class="composer" onSubmit={event => { event.preventDefault(); submit(); }}>
      {attached.value.length > 0 && (
        <ul class="files">
          {attached.value.map((file, at) => (
            <li key={at}>
              <Icon name="file" size={16} /><span class="name">{file.name}</span>
              <IconButton icon="close" label={t('detach', { name: file.name })}
                onClick={() => { attached.value = attached.value.filter(other => other !== file); }} />
            </li>
          ))}
        </ul>
      )}
      <textarea id="composer" ref={field} rows={1} value={text.value} placeholder={t(isElsewhere ? 'elsewhere' : 'placeholder')} aria-label={t('message')}
        onInput={event => { text.value = event.currentTarget.value; }} onKeyDown={onKeyDown}
        onPaste={event => {
          const files = event.clipboardData?.files;
          if (files && files.length > 0) { event.preventDefault(); void attach(files); }
        }} />
      <div class="composer-bar">
        <IconButton icon="clip" label={t('attach')} onClick={() => picker.current!.click()} />
        <input ref={picker} type="file" multiple hidden aria-label={t('attach')} onChange={event => {
          void attach([...event.currentTarget.files ?? []]);
          event.currentTarget.value = '';
        }} />
        {isLive
          ? <IconButton icon="stop" class="send" label={t('stop')} shortcut="Esc" onClick={stopActive} />
          : <button type="submit" class="icon-button send" aria-label={t('send')} title={t('send')} disabled={!canSend}><Icon name="send" /></button>}
      </div>
    </form>
  );
}
