// Requests to the server that this page came from, with the API key where one is wanted.
import { signal } from '@preact/signals';
import { remember, remembered } from './browser_store';

export class ApiError extends Error {
  constructor(readonly status: number, message: string, readonly retryAfterS: number | null = null) {
    super(message);
  }
}

// Set while the server wants a key that it has not got; the key dialog shows then.
export const keyWanted = signal(false);

export function apiKey(): string {
  return remembered('key') ?? '';
}

export function setApiKey(key: string, keep: boolean): void {
  remember('key', key.trim(), !keep);
  keyWanted.value = false;
}

async function errorOf(response: Response): Promise<ApiError> {
  let message = `${response.status} ${response.statusText}`;
  try {
    const body = await response.json() as { error?: { message?: string } };
    if (body.error?.message) message = body.error.message;
  } catch { /* not JSON: the status has to do */ }
  const retry = Number(response.headers.get('retry-after'));
  return new ApiError(response.status, message, retry > 0 ? retry : null);
}

// Throws ApiError for a status of 400 and above, status 0 for no answer at all; an AbortError passes through.
export async function request(path: string, options: RequestInit = {}, key = apiKey()): Promise<Response> {
  const headers = new Headers(options.headers);
  if (key !== '') headers.set('Authorization', `Bearer ${key}`);
  let response: Response;
  try {
    response = await fetch(path, { ...options, headers, cache: 'no-store' });
  } catch (error) {
    if (error instanceof DOMException && error.name === 'AbortError') throw error;
    throw new ApiError(0, String(error));
  }
  if (response.ok) return response;
  const failure = await errorOf(response);
  // The admin key is another matter: only who sends the page's own key is asked for it.
  if (response.status === 401 && key === apiKey()) keyWanted.value = true;
  throw failure;
}

export async function getJson<T>(path: string, signal?: AbortSignal): Promise<T> {
  const response = await request(path, signal ? { signal } : {});
  return await response.json() as T;
}

export interface ServerEvent {
  event: string;
  data: string;
}

// The events of a text/event-stream body, one by one as they come.
export async function* readEvents(response: Response): AsyncGenerator<ServerEvent> {
  const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
  let rest = '';
  try {
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      rest += value;
      for (let end = rest.indexOf('\n\n'); end >= 0; end = rest.indexOf('\n\n')) {
        const parsed = parseEvent(rest.slice(0, end));
        rest = rest.slice(end + 2);
        if (parsed) yield parsed;
      }
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}

function parseEvent(block: string): ServerEvent | null {
  let event = 'message';
  const data: string[] = [];
  for (const line of block.split('\n')) {
    if (line.startsWith('event:')) event = line.slice(6).trim();
    else if (line.startsWith('data:')) data.push(line.slice(line[5] === ' ' ? 6 : 5));
  }
  return data.length > 0 ? { event, data: data.join('\n') } : null;
}
