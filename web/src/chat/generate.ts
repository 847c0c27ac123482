// Asking for answers: streams them into the state, token by token, until they end or are stopped.
import { type Signal, signal } from '@preact/signals';
import { ApiError, keyWanted, readEvents, request } from '../shared/api';
import { remember } from '../shared/browser_store';
import { type Answer, type Attachment, chatMessages, type Conversation, newId, type Stats, titleOf, type UserMessage, withAnswer } from './model';
import { active, changeAssistant, changeMessages, chosenModel, conversations, editing, enterActive, loadModels, saveUnfinished, serverState, UNFINISHED,
  type UnfinishedAnswer, update } from './store';
import { isBusyElsewhere, onNewTab, tellBusy } from './tabs';
import { t } from './texts';

// An answer on its way.
export interface Live {
  conversationId: string;
  messageId: string;
  text: Signal<string>;
  answer: Answer;
  stop: () => void;
}

// By conversation: each has at most one answer on its way.
export const live = signal<ReadonlyMap<string, Live>>(new Map());

function setLive(conversationId: string, entry: Live | null): void {
  const next = new Map(live.value);
  if (entry) { next.set(conversationId, entry); tellBusy([conversationId]); }
  else next.delete(conversationId);
  live.value = next;
}

// What has arrived of an answer. If the page goes now, that is an answer that was stopped.
const unfinished = (): UnfinishedAnswer[] => [...live.value.values()].filter(({ answer }) => answer.text !== '')
  .map(({ conversationId, messageId, answer }) => ({ conversationId, messageId, answer: { ...answer, end: 'stopped' } }));

// A page that crashes, or that a phone ends, says nothing before.
setInterval(() => {
  for (const entry of unfinished()) saveUnfinished(entry);
  tellBusy([...live.value.keys()]);
}, 1000);
onNewTab(() => tellBusy([...live.value.keys()]));

// The database is too slow for a page that goes. Leaving also ends requests as if the server were gone.
let isLeaving = false;
window.addEventListener('pagehide', () => {
  isLeaving = true;
  remember(UNFINISHED, live.value.size > 0 ? JSON.stringify(unfinished()) : '', true);
});
window.addEventListener('pageshow', () => { isLeaving = false; });

export const stopActive = (): void => live.value.get(active.value.id)?.stop();

// Sends a message in the conversation shown.
export function send(text: string, attachments: Attachment[]): void {
  if (isBusyElsewhere(active.value.id)) return;
  const conversation = enterActive();
  const message: UserMessage = { id: newId(), role: 'user', text, attachments };
  if (conversation.messages.length === 0 && conversation.title === '') {
    update(conversation.id, known => ({ ...known, title: titleOf(text || attachments[0]?.name || '') }));
  }
  changeMessages(conversation.id, messages => [...messages, message]);
  answerLast(conversation.id);
}

// Replaces a message of the reader and what followed it.
export function resend(message: UserMessage, text: string): void {
  const { id } = active.value;
  if (isBusyElsewhere(id)) return;
  live.value.get(id)?.stop();
  editing.value = '';
  changeMessages(id, messages => [
    ...messages.slice(0, messages.findIndex(known => known.id === message.id)), { ...message, id: newId(), text }]);
  answerLast(id);
}

function answerLast(id: string): void {
  const message = { id: newId(), role: 'assistant' as const, answers: [], shown: 0 };
  changeMessages(id, messages => [...messages, message]);
  void generate(id, message.id);
}

// One more attempt at the last answer; the others stay and can be looked at.
export function regenerate(messageId: string): void {
  const conversation = active.value;
  if (conversation.messages.at(-1)?.id !== messageId || live.value.has(conversation.id) || isBusyElsewhere(conversation.id)) return;
  void generate(conversation.id, messageId);
}

interface Chunk {
  choices?: { delta?: { content?: string; reasoning_content?: string }; finish_reason?: string | null }[];
  usage?: { prompt_tokens: number; completion_tokens: number; prompt_tokens_details?: { cached_tokens?: number } };
  error?: { message?: string; code?: number };
}

function requestBody(conversation: Conversation, messageId: string, model: string): string {
  const { sampling, stop } = conversation.settings;
  return JSON.stringify({
    model, stream: true, stream_options: { include_usage: true, continuous_usage_stats: true }, messages: chatMessages(conversation, messageId), ...sampling,
    ...(stop ? { stop } : {}),
  });
}

function statsOf(usage: NonNullable<Chunk['usage']>, started: number, firstAt: number): Stats {
  const now = performance.now();
  const output = usage.completion_tokens;
  // Of an answer that comes in one piece, only the whole time says anything.
  const decodeMs = firstAt > 0 ? now - firstAt : 0;
  const perMs = decodeMs >= 50 ? (output - 1) / decodeMs : output / (now - started);
  return {
    promptTokens: usage.prompt_tokens, cachedTokens: usage.prompt_tokens_details?.cached_tokens ?? 0,
    outputTokens: output, tokensPerSecond: 1000 * perMs,
    firstTokenMs: (firstAt || now) - started, totalMs: now - started };
}

async function generate(id: string, messageId: string): Promise<void> {
  const conversation = conversations.value.find(known => known.id === id);
  if (!conversation) return;
  const abort = new AbortController();
  const text = signal('');
  const model = chosenModel.value;
  const answer: Answer = { text: '', model, created: Date.now() };
  setLive(id, { conversationId: id, messageId, text, answer, stop: () => abort.abort() });
  try {
    await stream(conversation, messageId, answer, text, abort.signal);
  } catch (error) {
    if (abort.signal.aborted || isLeaving) {
      answer.end = 'stopped';
    } else {
      answer.end = 'error';
      answer.error = explain(error);
      if (error instanceof ApiError && (error.status === 0 || error.status === 503)) {
        serverState.value = 'unknown';
        void loadModels();
      }
    }
  }
  setLive(id, null);
  // Nothing was said and nothing is to be seen: the question stays, and can be sent again.
  const isEmpty = answer.text === '' && (answer.end === 'stopped' || keyWanted.value);
  if (isEmpty) {
    changeMessages(id, messages => messages.filter(known =>
      known.id !== messageId || (known.role === 'assistant' && known.answers.length > 0)));
    return;
  }
  changeAssistant(id, messageId, known => withAnswer(known, answer));
}

async function stream(conversation: Conversation, messageId: string, answer: Answer, text: Signal<string>, stop: AbortSignal): Promise<void> {
  const started = performance.now();
  let firstAt = 0;
  let frame = 0;
  const response = await request('/v1/chat/completions', {
    method: 'POST', headers: { 'Content-Type': 'application/json' }, body: requestBody(conversation, messageId, answer.model), signal: stop });
  for await (const { data } of readEvents(response)) {
    if (data === '[DONE]') break;
    const chunk = JSON.parse(data) as Chunk;
    if (chunk.error) throw new ApiError(chunk.error.code ?? 500, chunk.error.message ?? '');
    const choice = chunk.choices?.[0];
    const piece = choice?.delta?.content ?? '';
    if (piece !== '') {
      firstAt ||= performance.now();
      answer.text += piece;
      // At most one rendering a frame, however fast tokens come.
      frame ||= requestAnimationFrame(() => { frame = 0; text.value = answer.text; });
    }
    if (choice?.finish_reason) answer.end = choice.finish_reason;
    // In every event, so that an answer that is stopped has them too.
    if (chunk.usage) answer.stats = statsOf(chunk.usage, started, firstAt);
  }
  cancelAnimationFrame(frame);
  if (stop.aborted) throw new DOMException('', 'AbortError');
}

function explain(error: unknown): string {
  // What a browser calls a connection that broke differs: it is always a TypeError.
  if (error instanceof TypeError) return t('broken');
  if (!(error instanceof ApiError)) return String(error);
  if (error.status === 429 && error.retryAfterS !== null) return t('busy', { s: error.retryAfterS });
  return error.status === 0 ? t('not_sent') : error.message;
}
