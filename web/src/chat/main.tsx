// The chat page.
import '../shared/base.css';
import './chat.css';
import { useComputed, useSignal } from '@preact/signals';
import { render } from 'preact';
import { useEffect, useLayoutEffect, useRef } from 'preact/hooks';
import { Dialog, IconButton, KeyDialog } from '../shared/controls';
import { Icon, Logo } from '../shared/icons';
import { attach, Composer, isDropping } from './composer';
import { live, send, stopActive } from './generate';
import { MessageView } from './messages';
import { SettingsPanel } from './settings_panel';
import { Sidebar } from './sidebar';
import { active, activeId, chooseModel, chosenModel, isHelpOpen, isSettingsOpen, isSidebarOpen, loadModels, models, notice, serverState,
  showNeighbour, start, startNew } from './store';
import { t } from './texts';

function Header() {
  const hasSettings = active.value.settings.system || Object.keys(active.value.settings.sampling).length > 0;
  return (
    <header class="top">
      <IconButton icon="menu" label={t(isSidebarOpen.value ? 'chats_close' : 'chats_open')}
        onClick={() => { isSidebarOpen.value = !isSidebarOpen.value; }} />
      <label class="model">
        <span class="hidden-text">{t('model')}</span>
        <select value={chosenModel.value} disabled={models.value.length === 0} onChange={event => chooseModel(event.currentTarget.value)}>
          {models.value.map(({ id }) => <option key={id} value={id}>{id}</option>)}
        </select>
      </label>
      <span class="space" />
      <IconButton icon="keys" class="only-wide" label={t('shortcuts')} shortcut="?" onClick={() => { isHelpOpen.value = true; }} />
      <IconButton icon="plus" class="only-narrow" label={t('new_chat')} onClick={startNew} />
      <IconButton icon="sliders" class={hasSettings ? 'has-settings' : ''} label={t('settings')} shortcut="Alt+S" pressed={isSettingsOpen.value}
        onClick={() => { isSettingsOpen.value = !isSettingsOpen.value; }} />
    </header>
  );
}

function Welcome() {
  const suggestions = [t('try_1'), t('try_2'), t('try_3'), t('try_4')];
  return (
    <div class="welcome">
      <Logo size={52} />
      <h1>{t('greeting')}</h1>
      <p>{t('greeting_sub')}</p>
      <div class="suggestions">
        {suggestions.map(text => (
          <button key={text} type="button" class="plain" disabled={serverState.value !== 'ready'} onClick={() => send(text, [])}>{text}</button>
        ))}
      </div>
    </div>
  );
}

// Follows an answer as it grows, unless the reader has scrolled up.
function Conversation() {
  const frame = useRef<HTMLDivElement>(null);
  const follows = useSignal(true);
  const { messages, id } = active.value;
  const toEnd = () => { frame.current!.scrollTop = frame.current!.scrollHeight; };
  useLayoutEffect(() => {
    follows.value = true;
    toEnd();
    const sizes = new ResizeObserver(() => { if (follows.value) toEnd(); });
    sizes.observe(frame.current!.firstElementChild!);
    return () => sizes.disconnect();
  }, [id]);
  useLayoutEffect(() => { follows.value = true; toEnd(); }, [messages.length]);
  return (
    <div class="scroll" ref={frame} tabIndex={-1} onScroll={event => {
      const { scrollTop, scrollHeight, clientHeight } = event.currentTarget;
      follows.value = scrollHeight - scrollTop - clientHeight < 60;
    }}>
      <div class="messages" onClick={copyCode}>
        {messages.length === 0 ? <Welcome />
          : messages.map((message, at) => <MessageView key={message.id} message={message} isLast={at === messages.length - 1} />)}
      </div>
      {!follows.value && (
        <button type="button" class="icon-button latest" aria-label={t('latest')} title={t('latest')}
          onClick={() => { follows.value = true; toEnd(); }}><Icon name="down" /></button>
      )}
    </div>
  );
}

// The buttons of code blocks are made by the Markdown renderer, without handlers of their own.
function copyCode(event: MouseEvent): void {
  const button = (event.target as Element).closest('.copy-code');
  const code = button?.closest('.code')?.querySelector('pre')?.textContent;
  if (!button || !code) return;
  void navigator.clipboard.writeText(code).then(() => {
    button.textContent = t('copied');
    setTimeout(() => { button.textContent = t('copy_code'); }, 1500);
  });
}

function Help() {
  const rows: [string[], string][] = [[['Enter'], t('key_send')], [['Shift', 'Enter'], t('key_line')], [['Esc'], t('key_stop')],
    [['/'], t('key_focus')], [['Alt', 'N'], t('key_new')], [['Alt', '↑ ↓'], t('key_move')], [['Alt', 'S'], t('key_settings')],
    [['↑'], t('key_edit')], [['?'], t('key_help')]];
  return (
    <Dialog title={t('shortcuts')} onClose={() => { isHelpOpen.value = false; }}>
      <table class="keys"><tbody>
        {rows.map(([keys, meaning]) => <tr key={meaning}><td>{keys.map(key => <kbd key={key}>{key}</kbd>)}</td><td>{meaning}</td></tr>)}
      </tbody></table>
    </Dialog>
  );
}

function onKeyDown(event: KeyboardEvent): void {
  if (event.isComposing || event.ctrlKey || event.metaKey || document.querySelector('dialog[open]')) return;
  const target = event.target as HTMLElement;
  const isTyping = target.matches('input, textarea, select');
  if (event.key === 'Escape') {
    if (live.value.has(active.value.id)) stopActive();
    else isSettingsOpen.value = false;
    return;
  }
  const actions: Record<string, () => void> = event.altKey
    ? { KeyN: startNew, ArrowUp: () => showNeighbour(-1), ArrowDown: () => showNeighbour(1), KeyS: () => { isSettingsOpen.value = !isSettingsOpen.value; } }
    : isTyping ? {} : { Slash: () => (event.shiftKey ? isHelpOpen.value = true : document.getElementById('composer')?.focus()) };
  const action = actions[event.code];
  if (!action) return;
  event.preventDefault();
  action();
}

function Status() {
  const state = serverState.value;
  if (state === 'ready' || state === 'unknown') return null;
  return <p class="status" role="status">{t(state)}</p>;
}

function App() {
  useEffect(() => {
    document.addEventListener('keydown', onKeyDown);
    return () => document.removeEventListener('keydown', onKeyDown);
  }, []);
  // What a screen reader is told: not each word, but when an answer begins and ends.
  const spoken = useComputed(() => (live.value.has(active.value.id) ? t('answering')
    : active.value.messages.at(-1)?.role === 'assistant' ? t('answered') : ''));
  return (
    <div class={`app ${isSidebarOpen.value ? 'with-sidebar' : ''} ${isSettingsOpen.value ? 'with-settings' : ''}`}
      onDragOver={event => { if (event.dataTransfer?.types.includes('Files')) { event.preventDefault(); isDropping.value = true; } }}
      onDragLeave={event => { if (!event.relatedTarget) isDropping.value = false; }}
      onDrop={event => { event.preventDefault(); isDropping.value = false; void attach([...event.dataTransfer?.files ?? []]); }}>
      {isSidebarOpen.value && <><Sidebar /><div class="shade" onClick={() => { isSidebarOpen.value = false; }} /></>}
      <main>
        {active.value.messages.length > 0 && <h1 class="hidden-text">{active.value.title || 'Pagoda'}</h1>}
        <Header />
        <Status />
        <Conversation key={activeId.value} />
        <Composer />
      </main>
      {isSettingsOpen.value && <SettingsPanel />}
      {isHelpOpen.value && <Help />}
      {isDropping.value && <div class="drop">{t('drop')}</div>}
      {notice.value && <p class="notice" role="status">{notice.value}</p>}
      <p class="hidden-text" aria-live="polite">{spoken}</p>
      <KeyDialog onKey={() => void loadModels()} />
    </div>
  );
}

render(<App />, document.getElementById('app')!);
void start();
