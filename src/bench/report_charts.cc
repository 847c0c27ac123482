// The charts of a report: a small script that draws series as SVG, in the width there is.
#include "bench/report_page.h"

namespace pagoda {

const char* const kReportCharts = R"js("use strict";
const SVG = "http://www.w3.org/2000/svg";

// Texts are only ever set as text, so that no name in the data can become markup.
function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes || {})) {
    if (value !== null && value !== undefined) node.setAttribute(name, value);
  }
  for (const child of children.flat(Infinity)) {
    if (child !== null && child !== undefined) node.append(child);
  }
  return node;
}
const html = (tag, attributes, ...children) => fill(document.createElement(tag), attributes, children);
const svg = (tag, attributes, ...children) => fill(document.createElementNS(SVG, tag), attributes, children);
const known = value => typeof value === "number" && isFinite(value);

// --- numbers -------------------------------------------------------------------------------------

// Three digits that count, without an exponent, thousands apart.
function plain(value) {
  if (!known(value)) return "–";
  const size = Math.abs(value);
  if (size >= 1e9) return value.toExponential(2);
  if (size >= 100 || Number.isInteger(value)) return Math.round(value).toLocaleString("en-US");
  if (size !== 0 && size < 0.001) return value.toPrecision(2);
  return value.toFixed(size >= 10 ? 1 : size >= 1 ? 2 : 3);
}
// [number, unit] of seconds.
function timeParts(seconds) {
  if (!known(seconds)) return ["–", ""];
  const size = Math.abs(seconds);
  if (size >= 120) return [plain(seconds / 60), "min"];
  if (size >= 1) return [plain(seconds), "s"];
  return [plain(seconds * 1e3), "ms"];
}
const time = seconds => timeParts(seconds).join(" ").trim();
const percent = share => known(share) ? plain(share * 100) + " %" : "–";
// Of an interval, in the unit of its upper end.
function timeRange(range) {
  if (!range) return "";
  const unit = Math.abs(range[1]) >= 1 ? 1 : 1e3;
  return plain(range[0] * unit) + "–" + plain(range[1] * unit) + (unit === 1 ? " s" : " ms");
}
const range = pair => pair ? plain(pair[0]) + "–" + plain(pair[1]) : "";

// --- scales --------------------------------------------------------------------------------------

function roundTicks(low, high, wanted) {
  const rough = (high - low) / Math.max(1, wanted);
  const power = Math.pow(10, Math.floor(Math.log10(rough)));
  const step = [1, 2, 2.5, 5, 10].map(m => m * power).find(s => s >= rough * 0.999);
  const ticks = [];
  for (let i = Math.ceil(low / step - 1e-9); i <= high / step + 1e-9 && ticks.length < 50; ++i) ticks.push(i * step + 0);
  return ticks;
}
function logTicks(low, high, wanted) {
  const decades = Math.log10(high / low);
  const steps = decades > wanted ? [1] : decades * 3 > wanted ? [1, 3] : [1, 2, 5];
  const ticks = [];
  for (let p = Math.floor(Math.log10(low)); p <= Math.log10(high) + 1e-9 && ticks.length < 60; ++p) {
    for (const m of steps) {
      const tick = m * Math.pow(10, p);
      if (tick >= low * 0.999 && tick <= high * 1.001) ticks.push(tick);
    }
  }
  return ticks;
}
// An axis over `from` to `to` of pixels.
function scale(axis, from, to, wanted) {
  const place = axis.log ? Math.log10 : x => x;
  let low = axis.low, high = axis.high;
  if (!(high > low)) { high = low + (Math.abs(low) || 1); }
  let ticks = axis.ticks || (axis.log ? logTicks : roundTicks)(low, high, wanted);
  if (!axis.ticks && !axis.log && axis.nice && ticks.length > 1) {
    const step = ticks[1] - ticks[0];
    high = Math.ceil(high / step - 1e-9) * step;
    ticks = roundTicks(low, high, wanted).length === ticks.length ? ticks : ticks.concat(high);
    if (ticks[ticks.length - 1] < high - step / 2) ticks.push(high);
  }
  const span = place(high) - place(low);
  return { ticks, at: x => from + (place(axis.log ? Math.max(x, low) : x) - place(low)) / span * (to - from) };
}
// What the numbers of a time axis are divided by, and the unit.
const timeUnit = high => high >= 2 ? { unit: "s", by: 1 } : { unit: "ms", by: 1e-3 };
// Numbers along an axis, all with the decimals that tell them apart.
function tickTexts(ticks, by) {
  const values = ticks.map(t => t / by);
  const gaps = values.slice(1).map((v, i) => Math.abs(v - values[i])).filter(g => g > 0);
  const gap = gaps.length ? Math.min(...gaps) : Math.abs(values[0]) || 1;
  const decimals = Math.max(0, Math.min(6, Math.ceil(-Math.log10(gap) - 1e-9)));
  return values.map(v => Math.abs(v) >= 1e7 ? v.toExponential(1) :
    v.toLocaleString("en-US", { maximumFractionDigits: gap < 1 ? Math.max(decimals, 1) : Number.isInteger(gap) ? 0 : 1 }));
}

// --- parts of a chart ----------------------------------------------------------------------------

const SHAPES = {
  circle: (x, y) => `M${x - 3.6} ${y}a3.6 3.6 0 1 0 7.2 0a3.6 3.6 0 1 0 -7.2 0z`,
  dot: (x, y) => `M${x - 2} ${y}a2 2 0 1 0 4 0a2 2 0 1 0 -4 0z`,
  square: (x, y) => `M${x - 3.2} ${y - 3.2}h6.4v6.4h-6.4z`,
  triangle: (x, y) => `M${x} ${y - 4.4}l4.4 7.6h-8.8z`,
};
const fixed = x => Math.round(x * 100) / 100;

// Runs of neighbouring points that all have a value: a line breaks where there is none.
function pieces(points) {
  const out = [[]];
  for (const p of points) {
    if (known(p.y)) out[out.length - 1].push(p);
    else if (out[out.length - 1].length) out.push([]);
  }
  return out.filter(piece => piece.length);
}
function drawBars(series, x, y) {
  const base = y.at(0);
  const path = series.points.filter(p => p.y > 0).map(p => {
    const left = x.at(p.x0), right = x.at(p.x1), gap = right - left > 5 ? 1 : 0;
    return `M${fixed(left)} ${fixed(base)}V${fixed(y.at(p.y))}H${fixed(Math.max(right - gap, left + 0.5))}V${fixed(base)}z`;
  }).join("");
  return [svg("path", { d: path, fill: series.colour, "fill-opacity": series.opacity || 0.75, "class": "data" })];
}
function drawLine(series, x, y) {
  const out = [];
  const runs = pieces(series.points);
  const path = run => run.map((p, i) => (i ? "L" : "M") + fixed(x.at(p.x)) + " " + fixed(y.at(p.y))).join("");
  if (series.area) {
    const base = fixed(y.at(0));
    const d = runs.map(run => path(run) + `V${base}H${fixed(x.at(run[0].x))}z`).join("");
    out.push(svg("path", { d, fill: series.colour, "fill-opacity": 0.15 }));
  }
  for (const p of series.points) {
    if (!p.range || !known(p.y)) continue;
    const at = fixed(x.at(p.x));
    out.push(svg("path", { d: `M${at} ${fixed(y.at(p.range[0]))}V${fixed(y.at(p.range[1]))}`, stroke: series.colour,
      "stroke-width": 6, "stroke-opacity": 0.25, "stroke-linecap": "round", fill: "none" }));
  }
  const d = runs.map(path).join("");
  out.push(svg("path", { d, "class": "line data", stroke: series.colour, "stroke-dasharray": series.dash,
    "stroke-width": series.thick || 2 }));
  // A value without neighbours would be a line of no length.
  const alone = runs.filter(run => run.length === 1).flat();
  if (series.shape || alone.length) {
    out.push(svg("path", { d: (series.shape ? runs.flat() : alone).map(p => SHAPES[series.shape || "dot"](fixed(x.at(p.x)), fixed(y.at(p.y)))).join(""),
      fill: series.colour, "class": "data" }));
  }
  const labels = [];
  for (const p of series.points) {
    if (!p.text || !known(p.y)) continue;
    const label = { x: x.at(p.x), y: y.at(p.y) + 17, text: p.text }, last = labels[labels.length - 1];
    // Points on top of each other share one label.
    if (last && Math.abs(last.x - label.x) < 16 && Math.abs(last.y - label.y) < 13) last.text += ", " + label.text;
    else labels.push(label);
  }
  for (const l of labels) out.push(svg("text", { x: l.x, y: l.y, "text-anchor": "middle", "class": "halo" }, l.text));
  return out;
}
function legendOf(spec) {
  if (spec.series.length < 2 && !spec.alwaysLegend) return null;
  return html("div", { "class": "legend" }, spec.series.map(s => html("span", {},
    svg("svg", { viewBox: "0 0 18 10", "aria-hidden": "true" }, s.kind === "bars"
      ? svg("path", { d: "M3 1h12v8h-12z", fill: s.colour, "fill-opacity": s.opacity || 0.75 })
      : [svg("path", { d: "M1 5h16", stroke: s.colour, "stroke-width": 2, "stroke-dasharray": s.dash }),
         s.shape ? svg("path", { d: SHAPES[s.shape](9, 5), fill: s.colour }) : null]), s.name)));
}

function drawAxes(spec, frame, x, y, y2) {
  const out = [], { left, right, top, bottom } = frame;
  const yTexts = spec.y.texts || tickTexts(y.ticks, spec.y.by || 1);
  y.ticks.forEach((tick, i) => {
    const at = fixed(y.at(tick));
    out.push(svg("path", { d: `M${left} ${at}H${right}`, "class": "gridline" }),
      svg("text", { x: left - 7, y: at + 4, "text-anchor": "end" }, yTexts[i]));
  });
  if (y2) {
    y2.ticks.forEach(tick => out.push(svg("text", { x: right + 7, y: y2.at(tick) + 4 }, plain(tick * 100))));
    out.push(svg("text", { x: right + 30, y: 11, "text-anchor": "end" }, spec.y2.label));
  }
  const xTexts = spec.x.texts || tickTexts(x.ticks, spec.x.by || 1);
  let free = -Infinity;
  x.ticks.forEach((tick, i) => {
    const at = fixed(x.at(tick)), width = xTexts[i].length * 6.6;
    if (at - width / 2 < free) return;
    free = at + width / 2 + 8;
    out.push(svg("path", { d: `M${at} ${bottom}v4`, "class": "axis" }),
      svg("text", { x: at, y: bottom + 17, "text-anchor": "middle" }, xTexts[i]));
  });
  out.push(svg("path", { d: `M${left} ${bottom}H${right}`, "class": "axis" }),
    svg("text", { x: 0, y: 11 }, spec.y.label),
    svg("text", { x: (left + right) / 2, y: bottom + 34, "text-anchor": "middle" }, spec.x.label));
  return out;
}
// Upright lines with their words above, side by side where they would overlap.
function drawMarks(spec, frame, x) {
  const marks = (spec.marks || []).map(m => ({ ...m, at: fixed(x.at(m.x)), width: m.text.length * 6.7 }))
    .filter(m => m.at >= frame.left - 1 && m.at <= frame.right + 1);
  let free = frame.left - 20;
  for (const m of marks) { m.start = Math.max(m.at - m.width / 2, free); free = m.start + m.width + 9; }
  // What was pushed over the right edge pushes back.
  let edge = frame.right + 22;
  for (const m of [...marks].reverse()) { m.start = Math.min(m.start, edge - m.width); edge = m.start - 9; }
  return marks.flatMap(m => [
    svg("path", { d: `M${m.at} ${frame.bottom}V${frame.top - 2}`, stroke: m.colour, "class": "mark", "stroke-width": 1.5 }),
    svg("text", { x: m.start, y: frame.top - 7, "class": "mark-text", style: `fill:${m.colour}` }, m.text)]);
}

// --- a chart -------------------------------------------------------------------------------------

let numCharts = 0;
const groups = {};

// Adds a figure to `parent`. spec: title, description, height, x, y (low, high, label, by, log, ticks, texts, nice), y2,
// series (name, colour, kind "bars" or a line, points {x, y, range, text}, show, second), marks, band, note, head
// (what the pointer's place is called), group (charts whose pointers move together).
function chart(parent, spec) {
  const figure = html("figure", { "class": "chart" }), id = "chart" + ++numCharts;
  const drawing = svg("svg", { role: "img", tabindex: 0, "aria-labelledby": `${id}-title ${id}-desc` });
  const tip = html("div", { "class": "tip", role: "status" });
  fill(figure, {}, [html("figcaption", {}, html("h3", { title: spec.definition }, spec.title), legendOf(spec)), drawing, tip,
    spec.note ? html("p", { "class": "note" }, spec.note) : null]);
  parent.append(figure);
  const stops = [...new Set(spec.series.flatMap(s => s.points.filter(p => known(p.y)).map(p => p.x)))].sort((a, b) => a - b);
  const state = { spec, figure, drawing, tip, stops, place: null, id };
  const redraw = () => draw(state);
  new ResizeObserver(entries => {
    const width = Math.round(entries[0].contentRect.width);
    if (width !== state.width) { state.width = width; redraw(); }
  }).observe(figure);
  state.width = Math.round(figure.clientWidth - 36);
  redraw();
  const members = spec.group ? (groups[spec.group] = groups[spec.group] || []) : [];
  members.push(state);
  listen(state, members);
}

function draw(state) {
  const { spec, drawing, id } = state, width = Math.max(state.width, 120), height = spec.height || 230;
  const frame = { left: spec.left || 46, right: width - (spec.y2 ? 30 : 8), top: spec.marks ? 42 : 26,
    bottom: height - (spec.x.label ? 40 : 22) };
  const x = scale(spec.x, frame.left, frame.right, Math.max(2, width / 90));
  const y = scale(spec.y, frame.bottom, frame.top, height > 200 ? 4 : 3);
  const y2 = spec.y2 ? scale(spec.y2, frame.bottom, frame.top, 2) : null;
  drawing.replaceChildren();
  drawing.setAttribute("viewBox", `0 0 ${width} ${height}`);
  drawing.setAttribute("height", height);
  fill(drawing, {}, [svg("title", { id: id + "-title" }, spec.title), svg("desc", { id: id + "-desc" }, spec.description || "")]);
  if (spec.band) {
    const from = Math.max(frame.left, x.at(spec.band[0])), to = Math.min(frame.right, x.at(spec.band[1]));
    drawing.append(svg("path", { d: `M${fixed(from)} ${frame.top}H${fixed(to)}V${frame.bottom}H${fixed(from)}z`, "class": "band" }));
  }
  drawing.append(...drawAxes(spec, frame, x, y, y2));
  for (const s of [...spec.series].reverse()) {
    drawing.append(...(s.kind === "bars" ? drawBars : drawLine)(s, x, s.second ? y2 : y));
  }
  drawing.append(...drawMarks(spec, frame, x));
  state.cursor = svg("path", { "class": "cursor", opacity: 0 });
  // An empty title of its own: otherwise browsers show the chart's title over the values.
  drawing.append(state.cursor, svg("rect", { x: 0, y: 0, width, height, fill: "none", "pointer-events": "all" }, svg("title")));
  Object.assign(state, { x, frame, height });
}

function nearest(stops, distance) {
  let best = null;
  for (const stop of stops) if (best === null || distance(stop) < distance(best)) best = stop;
  return best;
}
// Shows the values at `place`; with `words` false only where it is.
function point(state, place, words) {
  const { spec, tip, cursor, frame, x } = state;
  state.place = place;
  if (place === null) { cursor.setAttribute("opacity", 0); tip.style.opacity = 0; return; }
  const at = x.at(place);
  cursor.setAttribute("d", `M${fixed(at)} ${frame.top}V${frame.bottom}`);
  cursor.setAttribute("opacity", 0.6);
  if (!words) { tip.style.opacity = 0; return; }
  const lines = spec.series.map(s => {
    const p = s.points.find(q => q.x === place && known(q.y));
    return p ? html("div", {}, `${s.name}: ${s.show(p)}`) : null;
  });
  const marked = spec.series.flatMap(s => s.points).find(p => p.x === place && p.head);
  tip.replaceChildren(html("b", {}, marked ? marked.head : spec.head(place)), ...lines.filter(Boolean));
  const box = state.drawing.getBoundingClientRect(), outer = state.figure.getBoundingClientRect();
  const middle = box.left - outer.left + at * box.width / Math.max(state.width, 120);
  const room = outer.width - tip.offsetWidth - 6;
  tip.style.left = Math.max(4, Math.min(room, middle > outer.width / 2 ? middle - tip.offsetWidth - 12 : middle + 12)) + "px";
  tip.style.top = box.top - outer.top + frame.top + 4 + "px";
  tip.style.opacity = 1;
}
function listen(state, members) {
  const { drawing, stops } = state;
  const show = place => { for (const m of members) point(m, place, m === state); if (!members.length) point(state, place, true); };
  drawing.addEventListener("pointermove", event => {
    const box = drawing.getBoundingClientRect(), at = (event.clientX - box.left) * Math.max(state.width, 120) / box.width;
    show(nearest(stops, stop => Math.abs(state.x.at(stop) - at)));
  });
  drawing.addEventListener("pointerleave", () => show(null));
  drawing.addEventListener("blur", () => show(null));
  drawing.addEventListener("keydown", event => {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!step || !stops.length) return;
    event.preventDefault();
    const i = state.place === null ? (step > 0 ? -1 : stops.length) : stops.indexOf(state.place);
    show(stops[Math.max(0, Math.min(stops.length - 1, i + step))]);
  });
}
)js";

}  // namespace pagoda
