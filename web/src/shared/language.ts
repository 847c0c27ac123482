// The language of the page: English or Korean, the browser's unless chosen.
import { effect, signal } from '@preact/signals';
import { remember, remembered } from './browser_store';

export type Language = 'en' | 'ko';

function initial(): Language {
  const chosen = remembered('language');
  if (chosen === 'en' || chosen === 'ko') return chosen;
  return navigator.language.toLowerCase().startsWith('ko') ? 'ko' : 'en';
}

export const language = signal<Language>(initial());
effect(() => { document.documentElement.lang = language.value; });

export function chooseLanguage(chosen: Language): void {
  remember('language', chosen);
  language.value = chosen;
}

// A reader of texts by key: `{name}` in a text is replaced by the parameter of that name. Reads the signal, so what
// renders with it renders again when the language changes.
export function texts<Key extends string>(all: Record<Language, Record<Key, string>>) {
  return (key: Key, parameters: Record<string, string | number> = {}): string =>
    all[language.value][key].replace(/\{(\w+)\}/g, (whole, name: string) => String(parameters[name] ?? whole));
}
