// Light or dark: as the system says, unless chosen.
import { computed, effect, signal } from '@preact/signals';
import { remember, remembered } from './browser_store';

export type Theme = 'system' | 'light' | 'dark';

const system = window.matchMedia('(prefers-color-scheme: dark)');
const systemIsDark = signal(system.matches);
system.addEventListener('change', () => { systemIsDark.value = system.matches; });

const stored = remembered('theme');
export const theme = signal<Theme>(stored === 'light' || stored === 'dark' ? stored : 'system');
export const isDark = computed(() => theme.value === 'dark' || (theme.value === 'system' && systemIsDark.value));

effect(() => {
  document.documentElement.dataset.theme = isDark.value ? 'dark' : 'light';
});

export function chooseTheme(chosen: Theme): void {
  remember('theme', chosen === 'system' ? '' : chosen);
  theme.value = chosen;
}
