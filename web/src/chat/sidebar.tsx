// The list of conversations.
import { useSignal } from '@preact/signals';
import { useRef } from 'preact/hooks';
import { Dialog, IconButton, Preferences } from '../shared/controls';
import { Icon, Logo } from '../shared/icons';
import { live } from './generate';
import { type Conversation, exported, imported } from './model';
import { active, activeId, add, conversations, isSidebarOpen, remove, save, say, show, startNew, update } from './store';
import { t } from './texts';

export function download(name: string, chats: Conversation[]): void {
  const url = URL.createObjectURL(new Blob([exported(chats)], { type: 'application/json' }));
  const link = document.createElement('a');
  link.href = url;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}

async function importFiles(files: File[]): Promise<void> {
  for (const file of files) {
    try {
      const chats = imported(await file.text());
      add(chats);
      say(t('imported', { n: chats.length }));
      if (chats[0]) show(chats[0].id);
    } catch (error) {
      say(t('import_failed', { name: file.name, why: error instanceof Error ? error.message : String(error) }));
    }
  }
}

// On narrow screens the list lies over the conversation, and goes once one is chosen.
function chosen(): void {
  if (window.matchMedia('(max-width: 820px)').matches) isSidebarOpen.value = false;
}

function Entry({ conversation }: { conversation: Conversation }) {
  const renaming = useSignal(false);
  const removing = useSignal(false);
  const title = conversation.title || t('untitled');
  const isShown = activeId.value === conversation.id;
  const rename = (value: string) => {
    renaming.value = false;
    if (value.trim() === '') return;
    update(conversation.id, known => ({ ...known, title: value.trim().slice(0, 200) }));
    save(conversation.id);
  };
  if (renaming.value) {
    return (
      <li><input type="text" class="rename" aria-label={t('rename')} defaultValue={title} autofocus ref={element => element?.focus()}
        onBlur={event => rename(event.currentTarget.value)}
        onKeyDown={event => {
          if (event.key === 'Enter' && !event.isComposing) rename(event.currentTarget.value);
          if (event.key === 'Escape') { event.stopPropagation(); renaming.value = false; }
        }} /></li>
    );
  }
  return (
    <li class={isShown ? 'shown' : ''}>
      <button type="button" class="entry" aria-current={isShown ? 'page' : undefined} title={title}
        onClick={() => { show(conversation.id); chosen(); }} onDblClick={() => { renaming.value = true; }}>
        {live.value.has(conversation.id) && <span class="busy" />}{title}
      </button>
      <span class="entry-actions">
        <IconButton icon="edit" label={`${t('rename')}: ${title}`} onClick={() => { renaming.value = true; }} />
        <IconButton icon="trash" label={`${t('remove')}: ${title}`} onClick={() => { removing.value = true; }} />
      </span>
      {removing.value && (
        <Dialog title={t('remove')} onClose={() => { removing.value = false; }}>
          <p><strong>{title}</strong></p>
          <p>{t('remove_sure')}</p>
          <div class="actions">
            <button type="button" class="plain" onClick={() => { removing.value = false; }}>{t('cancel')}</button>
            <button type="button" class="primary" onClick={() => remove(conversation.id)}>{t('remove')}</button>
          </div>
        </Dialog>
      )}
    </li>
  );
}

export function Sidebar() {
  const words = useSignal('');
  const picker = useRef<HTMLInputElement>(null);
  const wanted = words.value.trim().toLowerCase();
  const shown = conversations.value.filter(({ title, messages }) => wanted === '' || title.toLowerCase().includes(wanted)
    || messages.some(message => (message.role === 'user' ? message.text : message.answers[message.shown]?.text ?? '').toLowerCase().includes(wanted)));
  return (
    <nav class="sidebar" aria-label={t('chats')}>
      <header>
        <Logo size={26} /><strong>Pagoda</strong>
        <IconButton icon="close" class="only-narrow" label={t('chats_close')} onClick={() => { isSidebarOpen.value = false; }} />
      </header>
      <button type="button" class="plain new-chat" title="Alt+N" onClick={() => { startNew(); chosen(); }}><Icon name="plus" />{t('new_chat')}</button>
      {conversations.value.length > 4 && (
        <input type="search" aria-label={t('search')} placeholder={t('search')} value={words.value}
          onInput={event => { words.value = event.currentTarget.value; }} />
      )}
      <ul class="entries">
        {shown.slice(0, 300).map(conversation => <Entry key={conversation.id} conversation={conversation} />)}
        {shown.length === 0 && <li class="remark">{t(wanted === '' ? 'no_chats' : 'no_match')}</li>}
      </ul>
      <footer>
        <a class="foot-link" href="/dashboard"><Icon name="pulse" />{t('dashboard')}</a>
        <button type="button" class="foot-link" onClick={() => picker.current!.click()}><Icon name="load" />{t('import_file')}</button>
        <button type="button" class="foot-link" disabled={conversations.value.length === 0}
          onClick={() => download('pagoda-chats.json', conversations.value)}><Icon name="save" />{t('export_all')}</button>
        <button type="button" class="foot-link" disabled={active.value.messages.length === 0}
          onClick={() => download('pagoda-chat.json', [active.value])}><Icon name="file" />{t('export_one')}</button>
        <input ref={picker} type="file" accept=".json,application/json" multiple hidden aria-label={t('import_file')} onChange={event => {
          void importFiles([...event.currentTarget.files ?? []]);
          event.currentTarget.value = '';
        }} />
        <Preferences />
      </footer>
    </nav>
  );
}
