// The messages of a conversation, and what can be done with each.
import { useSignal } from '@preact/signals';
import { Component } from 'preact';
import { useEffect, useRef } from 'preact/hooks';
import { IconButton } from '../shared/controls';
import { Icon } from '../shared/icons';
import { language } from '../shared/language';
import { type Live, live, regenerate, resend } from './generate';
import { type Block, markdownBlocks, splitThinking } from './markdown';
import type { Answer, AssistantMessage, Message, UserMessage } from './model';
import { active, changeAssistant, editing } from './store';
import { isBusyElsewhere } from './tabs';
import { t } from './texts';

class BlockView extends Component<{ block: Block }> {
  override shouldComponentUpdate(next: { block: Block }) {
    return next.block !== this.props.block;
  }

  render({ block }: { block: Block }) {
    return <div class="block" dangerouslySetInnerHTML={{ __html: block.html as unknown as string }} />;
  }
}

// Blocks that did not change keep their elements; all are made anew in another language, whose word is on their buttons.
function Markdown({ text }: { text: string }) {
  const before = useRef<{ language: string; blocks: Block[] }>({ language: '', blocks: [] });
  const known = before.current.language === language.value ? before.current.blocks : [];
  const blocks = markdownBlocks(text, known);
  before.current = { language: language.value, blocks };
  return <div class="markdown">{blocks.map((block, at) => <BlockView key={at} block={block} />)}</div>;
}

function AnswerText({ text }: { text: string }) {
  const { thinking, answer, thinks } = splitThinking(text);
  return (
    <>
      {(thinks || thinking.trim() !== '') && (
        <details class="thinking">
          <summary>{t(thinks ? 'thinking' : 'thought')}</summary>
          <p>{thinking.trim()}</p>
        </details>
      )}
      <Markdown text={answer} />
    </>
  );
}

function LiveAnswer({ entry }: { entry: Live }) {
  const text = entry.text.value;
  if (text === '') return <p class="waiting" aria-label={t('waiting')} role="img"><i /><i /><i /></p>;
  return <AnswerText text={text} />;
}

const duration = (ms: number): string => (ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(ms < 10_000 ? 2 : 1)} s`);

function AnswerStats({ answer }: { answer: Answer }) {
  const { stats } = answer;
  if (!stats) return null;
  const rate = stats.tokensPerSecond >= 100 ? Math.round(stats.tokensPerSecond) : stats.tokensPerSecond.toFixed(1);
  return (
    <span class="stats" title={t('stats_cached', { n: stats.cachedTokens, all: stats.promptTokens })}>
      {t('stats', { tokens: stats.outputTokens, rate, first: duration(stats.firstTokenMs), total: duration(stats.totalMs) })}
    </span>
  );
}

export function CopyButton({ text, label }: { text: () => string; label: string }) {
  const done = useSignal(false);
  return (
    <IconButton icon={done.value ? 'check' : 'copy'} label={done.value ? t('copied') : label} onClick={async () => {
      await navigator.clipboard.writeText(text());
      done.value = true;
      setTimeout(() => { done.value = false; }, 1500);
    }} />
  );
}

function AssistantView({ message, isLast }: { message: AssistantMessage; isLast: boolean }) {
  const entry = live.value.get(active.value.id);
  const isLive = entry?.messageId === message.id;
  const answer = message.answers[message.shown];
  const turn = (step: number) => changeAssistant(active.value.id, message.id, known => ({ ...known, shown: known.shown + step }));
  return (
    <article class={`message assistant ${isLast ? 'last' : ''}`} aria-label={t('assistant')} aria-busy={isLive}>
      {isLive ? <LiveAnswer entry={entry} /> : answer && (
        <>
          <AnswerText text={answer.text} />
          {answer.error && (
            <div class="failure" role="alert">
              <p>{answer.error}</p>
              {isLast && <button type="button" class="plain" onClick={() => regenerate(message.id)}>{t('retry')}</button>}
            </div>
          )}
          {answer.end === 'length' && <p class="remark">{t('cut')}</p>}
          {answer.end === 'stopped' && <p class="remark">{t(isLast && isBusyElsewhere(active.value.id) ? 'elsewhere' : 'stopped')}</p>}
        </>
      )}
      {!isLive && (
        <footer>
          {message.answers.length > 1 && (
            <span class="variants">
              <IconButton icon="left" label={t('previous')} disabled={message.shown === 0} onClick={() => turn(-1)} />
              {message.shown + 1}/{message.answers.length}
              <IconButton icon="right" label={t('next')} disabled={message.shown === message.answers.length - 1} onClick={() => turn(1)} />
            </span>
          )}
          {answer && answer.text !== '' && <CopyButton text={() => answer.text} label={t('copy')} />}
          {isLast && <IconButton icon="again" label={t('again')} onClick={() => regenerate(message.id)} />}
          {answer && <AnswerStats answer={answer} />}
        </footer>
      )}
    </article>
  );
}

function Editor({ message }: { message: UserMessage }) {
  const field = useRef<HTMLTextAreaElement>(null);
  useEffect(() => {
    const element = field.current!;
    element.focus();
    element.setSelectionRange(element.value.length, element.value.length);
  }, []);
  const submit = () => {
    const text = field.current!.value.trim();
    if (text !== '' || message.attachments.length > 0) resend(message, text);
  };
  return (
    <form class="editor" onSubmit={event => { event.preventDefault(); submit(); }}>
      <textarea ref={field} rows={Math.min(12, message.text.split('\n').length + 1)} defaultValue={message.text} aria-label={t('message')}
        onKeyDown={event => {
          if (event.isComposing) return;
          if (event.key === 'Escape') { event.stopPropagation(); editing.value = ''; }
          if (event.key === 'Enter' && !event.shiftKey) { event.preventDefault(); submit(); }
        }} />
      <div class="actions">
        <span class="remark">{t('edit_note')}</span>
        <button type="button" class="plain" onClick={() => { editing.value = ''; }}>{t('cancel')}</button>
        <button type="submit" class="primary">{t('edit_send')}</button>
      </div>
    </form>
  );
}

function UserView({ message }: { message: UserMessage }) {
  if (editing.value === message.id) return <article class="message user" aria-label={t('you')}><Editor message={message} /></article>;
  return (
    <article class="message user" aria-label={t('you')}>
      <div class="bubble">
        {message.attachments.map((file, at) => (
          <details key={at} class="attachment">
            <summary><Icon name="file" size={16} /><span class="name">{file.name}</span><span>{t('lines', { n: file.text.split('\n').length })}</span></summary>
            <pre tabIndex={0}>{file.text.slice(0, 20_000)}</pre>
          </details>
        ))}
        {message.text !== '' && <p>{message.text}</p>}
      </div>
      <footer>
        <CopyButton text={() => message.text} label={t('copy')} />
        <IconButton icon="edit" label={t('edit')} onClick={() => { editing.value = message.id; }} />
      </footer>
    </article>
  );
}

export function MessageView({ message, isLast }: { message: Message; isLast: boolean }) {
  return message.role === 'user' ? <UserView message={message} /> : <AssistantView message={message} isLast={isLast} />;
}
