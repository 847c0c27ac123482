// What a conversation is, and how it goes into and out of files.

export interface Attachment {
  name: string;
  text: string;
}

export interface Stats {
  promptTokens: number;
  cachedTokens: number;
  outputTokens: number;
  tokensPerSecond: number;
  firstTokenMs: number;
  totalMs: number;
}

// One attempt at an answer. `end` is why it ended: the API's finish reasons, "stopped" by the reader, or "error".
export interface Answer {
  text: string;
  model: string;
  created: number;
  end?: string;
  error?: string;
  stats?: Stats;
}

export interface UserMessage {
  id: string;
  role: 'user';
  text: string;
  attachments: Attachment[];
}

export interface AssistantMessage {
  id: string;
  role: 'assistant';
  answers: Answer[];
  shown: number;
}

// With an answer, shown, at the end. One attempt is there once, however often it is stored while it grows.
export function withAnswer(message: AssistantMessage, answer: Answer): AssistantMessage {
  const others = message.answers.filter(({ created }) => created !== answer.created);
  return { ...message, answers: [...others, answer], shown: others.length };
}

export type Message = UserMessage | AssistantMessage;

export const SAMPLING = {
  temperature: { min: 0, max: 2, step: 0.1 },
  top_p: { min: 0.01, max: 1, step: 0.01 },
  top_k: { min: 0, max: 1000, step: 1 },
  min_p: { min: 0, max: 1, step: 0.01 },
  max_tokens: { min: 1, max: 1_000_000, step: 1 },
  repetition_penalty: { min: 0.1, max: 2, step: 0.05 },
  presence_penalty: { min: -2, max: 2, step: 0.1 },
  frequency_penalty: { min: -2, max: 2, step: 0.1 },
  seed: { min: 0, max: 2 ** 53 - 1, step: 1 },
} as const;

export type SamplingName = keyof typeof SAMPLING;

// What is not set is left to the server.
export interface Settings {
  system?: string;
  sampling: Partial<Record<SamplingName, number>>;
  stop?: string[];
}

export interface Conversation {
  id: string;
  title: string;
  created: number;
  updated: number;
  model?: string;
  settings: Settings;
  messages: Message[];
}

export const newId = (): string => crypto.getRandomValues(new Uint32Array(3)).reduce((id, part) => id + part.toString(36), '');

export function newConversation(settings: Settings, model?: string): Conversation {
  const now = Date.now();
  return { id: newId(), title: '', created: now, updated: now, settings: structuredClone(settings), messages: [],
    ...(model ? { model } : {}) };
}

export function titleOf(text: string): string {
  const line = text.trim().split('\n')[0]!.replace(/^[#>*\-\s]+/, '');
  const letters = [...line];
  return letters.length > 60 ? `${letters.slice(0, 58).join('')}…` : line;
}

// The text of a message as the model reads it: attached files follow, each in a fence longer than any inside it.
export function sentText(message: UserMessage): string {
  return message.attachments.reduce((text, file) => {
    const longest = Math.max(2, ...[...file.text.matchAll(/`+/g)].map(run => run[0].length));
    const fence = '`'.repeat(longest + 1);
    return `${text}\n\n${file.name}\n${fence}\n${file.text}\n${fence}`;
  }, message.text).trim();
}

interface ChatMessage {
  role: string;
  content: string;
}

export function chatMessages(conversation: Conversation, before: string): ChatMessage[] {
  const sent: ChatMessage[] = [];
  if (conversation.settings.system?.trim()) sent.push({ role: 'system', content: conversation.settings.system });
  for (const message of conversation.messages) {
    if (message.id === before) break;
    if (message.role === 'user') sent.push({ role: 'user', content: sentText(message) });
    else sent.push({ role: 'assistant', content: message.answers[message.shown]?.text ?? '' });
  }
  return sent;
}

// --- files ---

const FORMAT = 'pagoda-chat/1';

export function exported(conversations: Conversation[]): string {
  return JSON.stringify({ format: FORMAT, exported: new Date().toISOString(), conversations }, null, 1);
}

type Loose = Record<string, unknown>;
const isObject = (value: unknown): value is Loose => typeof value === 'object' && value !== null && !Array.isArray(value);
const text = (value: unknown): string => (typeof value === 'string' ? value : '');
const list = (value: unknown): Loose[] => (Array.isArray(value) ? value.filter(isObject) : []);
const number = (value: unknown, otherwise: number): number =>
  (typeof value === 'number' && Number.isFinite(value) ? value : otherwise);

export function cleanSettings(value: unknown): Settings {
  const from = isObject(value) ? value : {};
  const settings: Settings = { sampling: {} };
  if (text(from.system)) settings.system = text(from.system);
  if (isObject(from.sampling)) {
    for (const [name, { min, max }] of Object.entries(SAMPLING)) {
      const given = from.sampling[name];
      if (typeof given === 'number' && given >= min && given <= max) settings.sampling[name as SamplingName] = given;
    }
  }
  if (Array.isArray(from.stop)) {
    const stop = from.stop.filter((entry): entry is string => typeof entry === 'string' && entry !== '').slice(0, 16);
    if (stop.length > 0) settings.stop = stop;
  }
  return settings;
}

function cleanAnswer(from: Loose): Answer {
  const answer: Answer = { text: text(from.text), model: text(from.model), created: number(from.created, Date.now()) };
  if (text(from.end)) answer.end = text(from.end);
  if (text(from.error)) answer.error = text(from.error);
  if (isObject(from.stats)) {
    const { stats } = from;
    answer.stats = {
      promptTokens: number(stats.promptTokens, 0), cachedTokens: number(stats.cachedTokens, 0),
      outputTokens: number(stats.outputTokens, 0), tokensPerSecond: number(stats.tokensPerSecond, 0),
      firstTokenMs: number(stats.firstTokenMs, 0), totalMs: number(stats.totalMs, 0),
    };
  }
  return answer;
}

function cleanMessage(from: Loose): Message | null {
  if (from.role === 'user') {
    return { id: newId(), role: 'user', text: text(from.text),
      attachments: list(from.attachments).map(file => ({ name: text(file.name), text: text(file.text) })) };
  }
  const answers = list(from.answers).map(cleanAnswer);
  if (from.role !== 'assistant' || answers.length === 0) return null;
  const shown = number(from.shown, 0);
  return { id: newId(), role: 'assistant', answers,
    shown: Number.isInteger(shown) && shown >= 0 && shown < answers.length ? shown : answers.length - 1 };
}

// The conversations of an exported file, with ids of their own. Takes what it knows and leaves the rest; throws an Error for what
// is no such file.
export function imported(content: string): Conversation[] {
  const file: unknown = JSON.parse(content);
  if (!isObject(file) || file.format !== FORMAT) throw new Error(`"format" is not "${FORMAT}"`);
  return list(file.conversations).map(from => {
    const created = number(from.created, Date.now());
    return {
      id: newId(), title: text(from.title), created, updated: number(from.updated, created),
      ...(text(from.model) ? { model: text(from.model) } : {}), settings: cleanSettings(from.settings),
      messages: list(from.messages).map(cleanMessage).filter(message => message !== null),
    };
  });
}
