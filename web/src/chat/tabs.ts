// What tabs of one browser tell each other: which conversations are being answered, and which have changed.
import { signal } from '@preact/signals';

// A tab that answers says so each second; one that has said nothing for so long is gone, or done.
const SILENCE_MS = 3000;

type News = { type: 'busy'; ids: string[] } | { type: 'changed'; id: string } | { type: 'hello' };

const channel = 'BroadcastChannel' in window ? new BroadcastChannel('pagoda-chat') : null;
const tell = (news: News) => channel?.postMessage(news);

// Until when each conversation counts as being answered in another tab.
const busy = signal<ReadonlyMap<string, number>>(new Map());
let changed: (id: string) => void = () => {};
let greeted: () => void = () => {};

export const isBusyElsewhere = (id: string): boolean => busy.value.has(id);
export const tellBusy = (ids: string[]): void => { if (ids.length > 0) tell({ type: 'busy', ids }); };
export const tellChanged = (id: string): void => { tell({ type: 'changed', id }); };
export const onChanged = (take: (id: string) => void): void => { changed = take; };
export const onNewTab = (take: () => void): void => { greeted = take; };

function forgetSilent(): void {
  const left = [...busy.value].filter(([, until]) => until >= Date.now());
  if (left.length < busy.value.size) busy.value = new Map(left);
}

if (channel) {
  channel.onmessage = ({ data }: MessageEvent<News>) => {
    if (data.type === 'busy') {
      const until = Date.now() + SILENCE_MS;
      busy.value = new Map([...busy.value, ...data.ids.map(id => [id, until] as const)]);
    } else if (data.type === 'changed') {
      changed(data.id);
    } else {
      greeted();
    }
  };
  setInterval(forgetSilent, 1000);
  tell({ type: 'hello' });
}
