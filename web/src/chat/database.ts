// Conversations in the browser's own database, one record each. Without one (private windows) they live as long as the tab.
import type { Conversation } from './model';

const STORE = 'conversations';
let opened: Promise<IDBDatabase | null> | undefined;

function open(): Promise<IDBDatabase | null> {
  opened ??= new Promise(resolve => {
    try {
      const opening = indexedDB.open('pagoda', 1);
      opening.onupgradeneeded = () => opening.result.createObjectStore(STORE, { keyPath: 'id' });
      opening.onsuccess = () => resolve(opening.result);
      opening.onerror = opening.onblocked = () => resolve(null);
    } catch {
      resolve(null);
    }
  });
  return opened;
}

async function run<T>(mode: IDBTransactionMode, work: (store: IDBObjectStore) => IDBRequest<T>): Promise<T | undefined> {
  const database = await open();
  if (!database) return undefined;
  return new Promise((resolve, reject) => {
    const done = work(database.transaction(STORE, mode).objectStore(STORE));
    done.onsuccess = () => resolve(done.result);
    done.onerror = () => reject(done.error);
  });
}

export async function loadConversations(): Promise<Conversation[]> {
  const all = (await run<Conversation[]>('readonly', store => store.getAll())) ?? [];
  return all.sort((a, b) => b.updated - a.updated);
}

export const loadConversation = (id: string) => run<Conversation | undefined>('readonly', store => store.get(id));
export const saveConversation = (conversation: Conversation) => run('readwrite', store => store.put(conversation));
export const removeConversation = (id: string) => run('readwrite', store => store.delete(id));
export const removeAll = () => run('readwrite', store => store.clear());
