// A chart over the history: uPlot draws, a cursor is shared by all charts.
import { useEffect, useRef } from 'preact/hooks';
import uPlot from 'uplot';
import 'uplot/dist/uPlot.min.css';
import { language } from '../shared/language';
import { isDark } from '../shared/theme';
import { history } from './data';

export interface Line { name: string; label: string }

const COLOURS = { light: ['#b23a24', '#2f6f9f', '#1c7a43'], dark: ['#f08c74', '#7db7e8', '#6fd39a'] };

export function Chart({ title, lines, format }: { title: string; lines: Line[]; format: (value: number | null | undefined) => string }) {
  const box = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const dark = isDark.value;
  const colours = COLOURS[dark ? 'dark' : 'light'];
  const { t, series } = history.value;
  const data = [t, ...lines.map(line => series[line.name] ?? t.map(() => null))] as uPlot.AlignedData;
  useEffect(() => {
    const style = getComputedStyle(document.documentElement);
    const soft = style.getPropertyValue('--soft');
    const grid = { stroke: style.getPropertyValue('--line'), width: 1 };
    const made = new uPlot({
      width: box.current!.clientWidth,
      height: 150,
      legend: { show: false },
      cursor: { sync: { key: 'history' }, y: false, drag: { x: false, y: false } },
      scales: { y: { range: (_plot, _low, high) => [0, high > 0 ? high * 1.1 : 1] } },
      axes: [{ stroke: soft, grid, ticks: grid, font: '11px system-ui' },
        { stroke: soft, grid, ticks: grid, font: '11px system-ui', size: 62, values: (_plot, values) => values.map(value => format(value)) }],
      series: [{}, ...lines.map((_line, i) => ({ stroke: colours[i]!, width: 1.6 }))],
    }, data, box.current!);
    plot.current = made;
    const observer = new ResizeObserver(() => made.setSize({ width: box.current!.clientWidth, height: 150 }));
    observer.observe(box.current!);
    return () => { observer.disconnect(); made.destroy(); };
  }, [dark, language.value]);
  useEffect(() => { plot.current?.setData(data); });
  return (
    <section class="card chart" aria-label={title}>
      <h2>{title}</h2>
      <ul class="legend">
        {lines.map((line, i) => (
          <li key={line.name} class={`line-${i}`}>{line.label} <b>{format(series[line.name]?.at(-1))}</b></li>
        ))}
      </ul>
      <div ref={box} />
    </section>
  );
}
