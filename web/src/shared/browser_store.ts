// What a page remembers in the browser: small texts by name. Without storage (private windows) for this visit only.

function storage(kind: 'localStorage' | 'sessionStorage'): Storage | null {
  try {
    return window[kind];
  } catch {
    return null;
  }
}

const memory = new Map<string, string>();

export function remembered(name: string): string | null {
  const key = `pagoda.${name}`;
  return memory.get(key) ?? storage('sessionStorage')?.getItem(key) ?? storage('localStorage')?.getItem(key) ?? null;
}

// `visit`: until the tab closes. An empty text forgets.
export function remember(name: string, value: string, visit = false): void {
  const key = `pagoda.${name}`;
  memory.delete(key);
  try {
    storage('sessionStorage')?.removeItem(key);
    storage('localStorage')?.removeItem(key);
    if (value !== '') storage(visit ? 'sessionStorage' : 'localStorage')?.setItem(key, value);
  } catch {
    memory.set(key, value);
  }
}
