// The state of the chat page: conversations, what is being answered, and what the server offers.
import { batch, computed, effect, signal } from '@preact/signals';
import { ApiError, getJson, keyWanted } from '../shared/api';
import { remember, remembered } from '../shared/browser_store';
import { loadConversation, loadConversations, removeConversation, saveConversation } from './database';
import { type Answer, type AssistantMessage, cleanSettings, type Conversation, type Message, newConversation, type Settings, withAnswer } from './model';
import { onChanged, tellChanged } from './tabs';
import { t } from './texts';

export const conversations = signal<Conversation[]>([]);
export const activeId = signal('');
// Not yet in the list: what the reader sees before the first message.
export const draft = signal<Conversation>(newConversation(defaultSettings()));
export const active = computed(() => conversations.value.find(({ id }) => id === activeId.value) ?? draft.value);

export interface ModelCard {
  id: string;
  max_model_len?: number;
}

export const models = signal<ModelCard[]>([]);
export type ServerState = 'unknown' | 'ready' | 'loading' | 'draining' | 'unreachable';
export const serverState = signal<ServerState>('unknown');
export const chosenModel = computed(() => {
  const wanted = active.value.model ?? remembered('model');
  return models.value.find(({ id }) => id === wanted)?.id ?? models.value[0]?.id ?? '';
});

export const notice = signal('');
export const isSidebarOpen = signal(!window.matchMedia('(max-width: 820px)').matches);
export const isSettingsOpen = signal(false);
export const isHelpOpen = signal(false);
export const editing = signal('');  // the id of the message being edited

let noticeTimer = 0;
export function say(text: string): void {
  notice.value = text;
  clearTimeout(noticeTimer);
  noticeTimer = window.setTimeout(() => { notice.value = ''; }, 6000);
}

export function defaultSettings(): Settings {
  try {
    return cleanSettings(JSON.parse(remembered('settings') ?? '{}'));
  } catch {
    return { sampling: {} };
  }
}

export function update(id: string, change: (conversation: Conversation) => Conversation): void {
  if (id === draft.value.id && !conversations.value.some(known => known.id === id)) {
    draft.value = change(draft.value);
    return;
  }
  conversations.value = conversations.value.map(known => (known.id === id ? change(known) : known));
}

export function save(id: string): void {
  const conversation = conversations.value.find(known => known.id === id);
  if (conversation) saveConversation(conversation).then(() => tellChanged(id), () => say(t('storage_failed')));
}

// What another tab has made of a conversation, or that it is gone.
async function takeOver(id: string): Promise<void> {
  const stored = await loadConversation(id);
  const others = conversations.value.filter(known => known.id !== id);
  if (stored) conversations.value = [stored, ...others].sort((a, b) => b.updated - a.updated);
  else if (others.length < conversations.value.length) conversations.value = others;
}
onChanged(id => { takeOver(id).catch(() => { /* no database: tabs know nothing of each other */ }); });

// An answer that had not ended when it was last heard of.
export interface UnfinishedAnswer {
  conversationId: string;
  messageId: string;
  answer: Answer;
}

// Where a page that goes leaves its unfinished answers for the next one in the same tab.
export const UNFINISHED = 'unfinished';

function withUnfinished(conversation: Conversation, { messageId, answer }: UnfinishedAnswer): Conversation {
  return { ...conversation, messages: conversation.messages.map(message =>
    (message.id === messageId && message.role === 'assistant' ? withAnswer(message, answer) : message)) };
}

// Stores an answer beside those of the conversation, which stays as it is on the page.
export function saveUnfinished(entry: UnfinishedAnswer): void {
  const conversation = conversations.value.find(({ id }) => id === entry.conversationId);
  if (conversation) saveConversation(withUnfinished(conversation, entry)).catch(() => { /* said when all of it is saved */ });
}

function takeUnfinished(): void {
  const left = JSON.parse(remembered(UNFINISHED) || '[]') as UnfinishedAnswer[];
  remember(UNFINISHED, '', true);
  for (const entry of left) {
    update(entry.conversationId, conversation => withUnfinished(conversation, entry));
    save(entry.conversationId);
  }
}

export const touch = (conversation: Conversation): Conversation => ({ ...conversation, updated: Date.now() });

export function changeMessages(id: string, change: (messages: Message[]) => Message[]): void {
  update(id, conversation => touch({ ...conversation, messages: change(conversation.messages) }));
  save(id);
}

export function changeAssistant(id: string, messageId: string, change: (message: AssistantMessage) => AssistantMessage): void {
  changeMessages(id, messages => messages.map(message =>
    (message.id === messageId && message.role === 'assistant' ? change(message) : message)));
}

export function changeSettings(settings: Settings): void {
  update(active.value.id, conversation => ({ ...conversation, settings }));
  save(active.value.id);
}

export function chooseModel(model: string): void {
  remember('model', model);
  update(active.value.id, conversation => ({ ...conversation, model }));
  save(active.value.id);
}

// The conversation shown, in the list: a draft is entered when its first message is sent.
export function enterActive(): Conversation {
  const conversation = active.value;
  if (!conversations.value.some(({ id }) => id === conversation.id)) {
    batch(() => {
      conversations.value = [conversation, ...conversations.value];
      activeId.value = conversation.id;
      draft.value = newConversation(defaultSettings());
    });
  }
  return conversation;
}

export function startNew(): void {
  batch(() => {
    if (draft.value.messages.length === 0) draft.value = newConversation(defaultSettings());
    activeId.value = '';
    editing.value = '';
  });
}

export function show(id: string): void {
  activeId.value = id;
  editing.value = '';
}

export function remove(id: string): void {
  conversations.value = conversations.value.filter(known => known.id !== id);
  removeConversation(id).then(() => tellChanged(id), () => {});
  if (activeId.value === id) startNew();
}

export function add(more: Conversation[]): void {
  conversations.value = [...more, ...conversations.value].sort((a, b) => b.updated - a.updated);
  for (const conversation of more) save(conversation.id);
}

// The conversation above (-1) or below (1) the one shown.
export function showNeighbour(step: number): void {
  const all = conversations.value;
  const at = all.findIndex(({ id }) => id === activeId.value);
  const next = all[at < 0 ? 0 : at + step];
  if (next) show(next.id);
}

// Asks for the models until the server has some to show.
export async function loadModels(): Promise<void> {
  for (;;) {
    try {
      const { data } = await getJson<{ data: ModelCard[] }>('/v1/models');
      models.value = data;
      serverState.value = 'ready';
      return;
    } catch (error) {
      if (keyWanted.value) return;
      const status = error instanceof ApiError ? error.status : 0;
      const isDraining = error instanceof ApiError && error.message.includes('shutting down');
      serverState.value = status === 503 ? (isDraining ? 'draining' : 'loading') : 'unreachable';
      await new Promise(resolve => { setTimeout(resolve, 1000); });
    }
  }
}

export async function start(): Promise<void> {
  try {
    conversations.value = await loadConversations();
    takeUnfinished();
  } catch {
    say(t('storage_failed'));
  }
  const last = sessionStorageId();
  if (conversations.value.some(({ id }) => id === last)) activeId.value = last;
  // A reload shows what was shown.
  effect(() => remember('shown', activeId.value, true));
  await loadModels();
}

const sessionStorageId = (): string => remembered('shown') ?? '';
