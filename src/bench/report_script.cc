// The page of a report: which cards, charts and tables there are, from the data beside it.
#include "bench/report_page.h"

namespace pagoda {

const char* const kReportScript = R"js(
const data = JSON.parse(document.getElementById("data").textContent);
const report = document.getElementById("report");

const METRICS = {
  ttft_s: ["TTFT", "Time to first token"], tpot_s: ["TPOT", "Time per output token"],
  itl_s: ["ITL", "Inter-token latency"], e2el_s: ["E2E", "End-to-end latency"],
  ttft_from_intended_s: ["TTFT from schedule"], e2el_from_intended_s: ["E2E from schedule"],
  schedule_delay_s: ["Schedule delay"], tokens_per_s_per_user: ["Tokens/s per user"],
  input_tokens: ["Input tokens"], output_tokens: ["Output tokens"] };
const MAIN = ["ttft_s", "tpot_s", "itl_s", "e2el_s"];
const P50 = "var(--blue)", P90 = "var(--purple)", P99 = "var(--orange)", FLOW = "var(--green)";
const isTime = name => name.endsWith("_s") && !name.includes("per_s");
const show = (name, value) => isTime(name) ? time(value) : plain(value);
const showRange = (name, pair) => isTime(name) ? timeRange(pair) : range(pair);
const nameOf = name => METRICS[name] ? METRICS[name].join(" · ") : name.replaceAll("_", " ");
const definition = (run, name) => run.metrics[name] && run.metrics[name].definition || null;
const INTERVAL = "95 % confidence interval, under the assumption that requests are independent";

// --- head ----------------------------------------------------------------------------------------

const pagoda = () => svg("svg", { viewBox: "0 0 48 48", fill: "currentColor", "aria-hidden": "true" },
  svg("path", { d: "M23 1h2v5h-2zM24 5c3 4 7 6 12 7l-1 4H13l-1-4c5-1 9-3 12-7zM15 18h18v3c3 2 6 3 9 3.500l-1 4H7l-1-4c3-.5 " +
    "6-1.500 9-3.500zM12 30h24v3c3 2 6 3 10 3.500l-1 4H3l-1-4c4-.5 7-1.500 10-3.500zM10 42h11v-1.500h6V42h11v5H10z" }));

function head() {
  const runs = data.runs, first = runs[0], levels = data.levels;
  const models = [...new Set(runs.map(r => r.model).filter(Boolean))];
  const chips = [];
  const chip = (name, value) => { if (value) chips.push(html("li", {}, name + " ", html("b", {}, value))); };
  if (first) {
    chip("load", levels.length > 3 ? `${levels[0].label} to ${levels[levels.length - 1].label}` : levels.map(l => l.label).join(", "));
    if (runs.length > 1) chip("runs", plain(runs.length + data.left_out));
    const fact = name => (first.facts.find(f => f[0] === name) || [])[1];
    chip("workload", (fact("workload") || "").replace(/^kind /, "").slice(0, 90));
    chip("server", fact("base urls"));
    chip("took", time(runs.reduce((sum, r) => sum + (r.elapsed_s || 0), 0)));
    const began = new Date(first.started_unix_s * 1000);
    if (known(first.started_unix_s) && !isNaN(began)) chip("began", began.toISOString().slice(0, 16).replace("T", " ") + " UTC");
  }
  report.append(html("header", {}, pagoda(), html("div", {}, html("p", { "class": "eyebrow" }, "Pagoda · benchmark report"),
    html("h1", {}, models.slice(0, 3).join(", ") || "Benchmark"), html("ul", { "class": "chips" }, chips))));
}
function warningBox(title, texts) {
  if (!texts.length) return;
  report.append(html("div", { "class": "warning", role: "alert" }, html("b", {}, title), html("ul", {}, texts.map(t => html("li", {}, t)))));
}
function warnings() {
  const all = data.runs.flatMap(r => r.warnings.map(w => data.runs.length > 1 ? `${r.label}: ${w}` : w));
  warningBox("Read these figures with care", all.slice(0, 12).concat(all.length > 12 ? [`and ${all.length - 12} more`] : []));
  if (data.left_out) warningBox("Not all runs are shown", [`${data.left_out} runs of the file are left out of this page`]);
}

// --- sweep ---------------------------------------------------------------------------------------

const high = points => Math.max(0, ...points.map(p => Math.max(known(p.y) ? p.y : 0, p.range ? p.range[1] : 0)));
const low = points => Math.min(...points.filter(p => p.y > 0).map(p => p.range && p.range[0] > 0 ? Math.min(p.y, p.range[0]) : p.y));

function curve(parent, metric, levels) {
  const points = (quantile, label) => levels.map(l => ({ x: l.output_tokens_per_s.value, y: l[`${metric}_${quantile}`].value,
    range: l[`${metric}_${quantile}`].interval, text: label ? short(l) : null, head: l.label }))
    .filter(p => known(p.x) && known(p.y));
  const p50 = points("p50", true), p99 = points("p99", false);
  if (!p50.length && !p99.length) return;
  const all = p50.concat(p99), top = high(all), bottom = low(all), unit = timeUnit(top), log = bottom > 0 && top / bottom > 20;
  const xs = all.map(p => p.x);
  chart(parent, { title: `${METRICS[metric][0]} against throughput`, definition: definition(data.runs[0], metric), height: 260,
    description: `${METRICS[metric][1]}, median and 99th percentile, at the output throughput of each load`,
    x: { label: "output tokens/s", low: 0, high: Math.max(...xs, 1e-9) * 1.06 },
    y: { label: unit.unit + (log ? ", logarithmic" : ""), by: unit.by, low: log ? bottom / 1.8 : 0, high: top * 1.15 || 1, log, nice: !log },
    series: [{ name: "p50", colour: P50, points: p50, shape: "circle", show: p => time(p.y) + also(p) },
      { name: "p99", colour: P99, points: p99, shape: "square", dash: "6 4", show: p => time(p.y) + also(p) }],
    head: x => plain(x) + " tok/s", note: "The numbers below the points are the loads." });
}
const also = p => p.range ? ` (${timeRange(p.range)})` : "";
const short = level => known(level.load) ? plain(level.load) : level.label.slice(0, 10);

function sweep() {
  // Users and rates are no common axis: where both are there, the charts are of the rates.
  const rates = data.levels.filter(l => l.label.includes("/s")), others = data.levels.filter(l => !l.label.includes("/s"));
  const levels = rates.length > 1 ? rates : data.levels;
  report.append(html("h2", {}, "Load sweep", html("small", {}, "each point is one load; shaded bars are 95 % intervals")));
  const grid = html("div", { "class": "grid three" });
  report.append(grid);
  const points = levels.map((l, i) => ({ x: i, y: l.output_tokens_per_s.value, range: l.output_tokens_per_s.interval, head: l.label }));
  const unit = levels.every(l => l.label.includes("user")) ? "users" : levels === rates ? "requests/s asked for" : "";
  chart(grid, { title: "Output throughput by load", height: 260, description: "Output tokens per second at each load",
    definition: data.runs[0].throughput && data.runs[0].throughput.definition,
    x: { label: unit || "load", low: -0.3, high: levels.length - 0.7, ticks: levels.map((_, i) => i), texts: levels.map(short) },
    y: { label: "output tokens/s", low: 0, high: high(points) * 1.08 || 1, nice: true },
    series: [{ name: "output tokens/s", colour: FLOW, points, shape: "triangle", area: true,
      show: p => plain(p.y) + " tok/s" + (p.range ? ` (${range(p.range)})` : "") }], head: x => levels[x].label });
  curve(grid, "ttft_s", levels);
  curve(grid, "tpot_s", levels);
  sweepTable(others.concat(rates));
}
function sweepTable(levels) {
  const good = levels.some(l => known(l.goodput.value)), repeats = levels.some(l => l.runs > 1);
  const cell = (figure, words, pairs) => html("td", {}, words(figure.value),
    figure.interval ? html("span", { "class": "ci", title: INTERVAL }, pairs(figure.interval)) : null);
  const times = ["ttft_s_p50", "ttft_s_p99", "tpot_s_p50", "tpot_s_p99", "e2el_s_p50", "e2el_s_p99"];
  const heads = ["load", repeats ? "runs" : null, "output tok/s", "requests/s", good ? "goodput/s" : null,
    ...times.map(t => METRICS[t.slice(0, -4)][0] + " " + t.slice(-3)), "failed"].filter(Boolean);
  report.append(html("div", { "class": "scroll", tabindex: 0, role: "region", "aria-label": "figures of each load" },
    html("table", { "class": "table" },
      html("thead", {}, html("tr", {}, heads.map(h => html("th", { scope: "col" }, h)))),
      html("tbody", {}, levels.map(l => html("tr", {}, html("th", { scope: "row" }, l.label), repeats ? html("td", {}, plain(l.runs)) : null,
        cell(l.output_tokens_per_s, plain, range), cell(l.requests_per_s, plain, range), good ? cell(l.goodput, plain, range) : null,
        times.map(t => cell(l[t], time, timeRange)), cell(l.failed, plain, range)))))));
}

// --- one run -------------------------------------------------------------------------------------

// `extra`: a third cell, of an interval.
const row = (name, value, extra, title) => html("tr", {}, html("th", { scope: "row", title }, name),
  html("td", { colspan: extra === undefined ? 2 : 1 }, value), extra === undefined ? null : html("td", {}, extra));
const ci = text => text ? html("span", { "class": "ci", title: INTERVAL }, text) : null;

function requestCard(run) {
  const r = run.requests, share = r.sent > 0 ? r.succeeded / r.sent : 0;
  return html("div", { "class": "card" }, html("h3", {}, "Requests"),
    html("p", { "class": "big" }, plain(r.succeeded), html("small", {}, `of ${plain(r.sent)} succeeded`)),
    html("div", { "class": "bar", role: "img", "aria-label": percent(share) + " succeeded" },
      fill(html("i"), { style: `width:${Math.max(0, Math.min(1, share)) * 100}%` }, [])),
    html("table", { "class": "rows" },
      r.causes.map(c => row(c.cause, plain(c.count) + " failed", undefined, c.example)),
      r.causes.length ? null : row("failed", plain(r.failed)),
      row("in the steady window", plain(r.in_window), undefined, "those whose latencies count"),
      r.never_sent ? row("never sent", plain(r.never_sent)) : null,
      r.cached_input_tokens ? row("input tokens from cache", plain(r.cached_input_tokens)) : null));
}
function throughputCard(run) {
  const t = run.throughput;
  if (!t) return null;
  return html("div", { "class": "card" }, html("h3", { title: t.definition || null }, "Output throughput"),
    html("p", { "class": "big" }, plain(t.output_tokens_per_s), html("small", {}, "tok/s")),
    html("table", { "class": "rows" }, row("requests", plain(t.requests_per_s) + " /s"), row("input tokens", plain(t.input_tokens_per_s) + " /s"),
      row("all tokens", plain(t.total_tokens_per_s) + " /s"),
      row("peak output", plain(t.peak_output_tokens_per_s) + " /s", undefined, "output tokens of the fullest second")));
}
function goodputCard(run) {
  const g = run.goodput;
  if (!g) return null;
  const limits = [["TTFT", g.ttft_limit_s], ["TPOT", g.tpot_limit_s], ["E2E", g.e2el_limit_s]].filter(l => known(l[1]));
  return html("div", { "class": "card" }, html("h3", { title: g.definition || null }, "Goodput"),
    html("p", { "class": "big" }, plain(g.requests_per_s), html("small", {}, "req/s within limits")),
    html("table", { "class": "rows" }, row("share", `${percent(g.share)}, ${plain(g.met)} of ${plain(g.sent)}`),
      limits.map(l => row(l[0] + " limit", time(l[1])))));
}
function latencyCard(run, name) {
  const m = run.metrics[name];
  if (!m) return null;
  const [number, unit] = timeParts(m.p50), drawn = run.distributions[name];
  const tallest = drawn ? Math.max(1, ...drawn.bins) : 1, width = drawn && drawn.bins.length ? 88 / drawn.bins.length : 0;
  return html("div", { "class": "card" }, html("h3", { title: m.definition || null }, METRICS[name].join(" · ")),
    width ? svg("svg", { "class": "spark", viewBox: "0 0 88 40", preserveAspectRatio: "none", "aria-hidden": "true" }, svg("path",
      { d: drawn.bins.map((n, i) => `M${fixed(i * width)} 40v${fixed(-40 * n / tallest)}h${fixed(width * .82)}v${fixed(40 * n / tallest)}z`).join("") })) : null,
    html("p", { "class": "big" }, number, html("small", {}, unit + " median")),
    html("table", { "class": "rows" }, ["p50", "p90", "p99"].map(q => row(q, time(m[q]), ci(timeRange(m[q + "_95"])))),
      row("mean", time(m.mean), ci(timeRange(m.mean_95)))));
}

function distribution(parent, run, name) {
  const d = run.distributions[name], m = run.metrics[name] || {};
  if (!d) return;
  const unit = timeUnit(d.to), n = d.bins.length, place = i => d.log
    ? d.from * Math.pow(d.to / d.from, i / n) : d.from + (d.to - d.from) * i / n;
  const bars = d.bins.map((count, i) => ({ x: (place(i) + place(i + 1)) / 2, y: count, x0: place(i), x1: place(i + 1),
    head: time(place(i)) + " to " + time(place(i + 1)) }));
  const quantiles = d.cdf.filter(p => p[0] <= d.to && p[0] >= d.from);
  // What lies below the middle of each bar, so that the pointer finds both at one place.
  const below = x => { const p = d.cdf.find(q => q[0] >= x); return p ? p[1] : 1; };
  const line = bars.length ? quantiles.map(p => ({ x: p[0], y: p[1] })) : quantiles.map(p => ({ x: p[0], y: p[1], head: time(p[0]) }));
  const series = [{ name: "share up to", colour: "var(--text)", thick: 1.5, points: line, second: bars.length > 0,
    show: p => percent(p.y) }];
  if (bars.length) series.push({ name: name === "itl_s" ? "gaps" : "requests", kind: "bars", colour: P50, opacity: .55, points: bars,
    show: p => `${plain(p.y)}; ${percent(below(p.x1))} are no longer` });
  chart(parent, { title: METRICS[name].join(" · "), definition: m.definition, height: 250, alwaysLegend: true,
    description: `Distribution: p50 ${time(m.p50)}, p90 ${time(m.p90)}, p99 ${time(m.p99)}`,
    x: { label: METRICS[name][1].toLowerCase() + ", " + unit.unit, low: d.from, high: d.to, by: unit.by, log: d.log },
    y: bars.length ? { label: name === "itl_s" ? "gaps" : "requests", low: 0, high: Math.max(1, ...d.bins) * 1.15 }
      : { label: "share up to, %", low: 0, high: 1, by: .01, ticks: [0, .25, .5, .75, 1] },
    y2: bars.length ? { label: "%", low: 0, high: 1.08, ticks: [0, .25, .5, .75, 1] } : null,
    series, marks: [["p50", P50], ["p90", P90], ["p99", P99]].filter(q => known(m[q[0]]))
      .map(q => ({ x: m[q[0]], text: `${q[0]} ${time(m[q[0]])}`, colour: q[1] })),
    note: !d.measured ? "The file holds no records: drawn from its quantiles." : d.beyond
      ? `${plain(d.beyond)} value${d.beyond === 1 ? "" : "s"} beyond the axis, up to ${time(d.max)}.` : null,
    head: x => time(x) });
}

// --- over time -----------------------------------------------------------------------------------

const zip = (xs, ys, shift) => xs.map((x, i) => ({ x: x + (shift || 0), y: ys[i] }));
const some = points => points.some(p => known(p.y));

function timePanel(box, run, end, title, yAxis, series, description, note) {
  series = series.filter(s => some(s.points));
  if (!series.length) return;
  const all = series.flatMap(s => s.points);
  box.panels.push({ title, description, note, height: 150, group: "time", left: 50, band: run.window, alwaysLegend: true,
    x: { low: 0, high: end }, y: { low: 0, high: high(all) * 1.06 || 1, nice: true, ...yAxis },
    series, head: x => "at " + plain(x) + " s" });
}
function timeline(parent, run) {
  const t = run.timeline, s = run.server, ends = [1, t.t.length * t.step_s, ...s.t.slice(-1)];
  const box = { panels: [] }, end = Math.max(...ends);
  const middle = t.step_s / 2, every = t.step_s > 1 ? ` Each point is the mean of ${t.step_s} s.` : "";
  const line = (name, colour, points, unit, more) => ({ name, colour, points, show: p => plain(p.y) + unit, ...more });
  const failures = t.t.map((x, i) => ({ x: x + middle, y: t.failed[i] > 0 ? t.failed[i] : null }));
  timePanel(box, run, end, "Requests", { label: "requests" }, [
    line("running (mean)", P50, zip(t.t, t.running, middle), "", { area: true }),
    line("sent per second", FLOW, zip(t.t, t.sent, middle), "", { dash: "5 3", thick: 1.5 }),
    line("failed", P99, failures, "", { shape: "square", dash: "0 6" })], "Requests sent, running and failed over time", every || null);
  timePanel(box, run, end, "Output", { label: "tokens/s" }, [line("output tokens per second", FLOW, zip(t.t, t.tokens, middle), " tok/s",
    { area: true })], "Output tokens per second over time");
  const p50 = zip(t.t, t.ttft_p50, middle), most = zip(t.t, t.ttft_max, middle), unit = timeUnit(high(p50.concat(most)));
  timePanel(box, run, end, "Time to first token", { label: unit.unit, by: unit.by }, [
    { name: "p50", colour: P50, points: p50, show: p => time(p.y) },
    { name: "max", colour: P99, points: most, dash: "5 3", thick: 1.5, show: p => time(p.y) }], "Median and greatest TTFT of answers that began then");
  const preempted = zip(s.t, s.preempted.map(n => n > 0 ? n : null));
  timePanel(box, run, end, "Server: queue", { label: "requests" }, [line("running", P50, zip(s.t, s.running), "", { area: true }),
    line("waiting", P99, zip(s.t, s.waiting), "", { dash: "5 3" }),
    line("preempted", "var(--purple)", preempted, "", { shape: "triangle", dash: "0 6" })], "What the server says: running, waiting, preempted");
  timePanel(box, run, end, "Server: cache", { label: "%", by: .01, high: 1, ticks: [0, .25, .5, .75, 1] }, [
    { name: "KV cache in use", colour: "var(--purple)", points: zip(s.t, s.kv), show: p => percent(p.y) },
    { name: "prefix hit rate", colour: FLOW, dash: "5 3", points: zip(s.t, s.hit_rate), show: p => percent(p.y) }],
    "What the server says: share of the KV cache in use and of looked-up prefix tokens found");
  if (!box.panels.length) return;
  const last = box.panels[box.panels.length - 1];
  Object.assign(last, { height: last.height + 18, x: { ...last.x, label: "seconds since the start" } });
  const panels = html("div", { "class": "panels" });
  parent.append(html("h2", {}, "Over time", html("small", {}, run.window ? "the steady window is shaded" : "")), panels);
  for (const spec of box.panels) chart(panels, spec);
}

// --- tables --------------------------------------------------------------------------------------

function metricTable(run) {
  const columns = ["mean", "stddev", "min", "p25", "p50", "p75", "p90", "p95", "p99", "max"];
  return html("div", { "class": "scroll", tabindex: 0, role: "region", "aria-label": "all metrics" }, html("table", { "class": "table" },
    html("thead", {}, html("tr", {}, html("th", {}, "metric"), html("th", {}, "values"), columns.map(c => html("th", { scope: "col" }, c)))),
    html("tbody", {}, Object.entries(run.metrics).map(([name, m]) => html("tr", {},
      html("th", { scope: "row", title: m.definition || null }, nameOf(name)), html("td", {}, plain(m.count)),
      columns.map(c => html("td", {}, show(name, m[c]), m[c + "_95"] ? html("span", { "class": "ci", title: INTERVAL }, showRange(name, m[c + "_95"])) : null)))))));
}
const words = pairs => html("dl", { "class": "words" }, pairs.map(([name, text]) => [html("dt", {}, name), html("dd", {}, text)]));

function definitions(run) {
  const out = Object.entries(run.metrics).filter(([, m]) => m.definition).map(([name, m]) => [nameOf(name), m.definition]);
  if (run.throughput && run.throughput.definition) out.push(["Throughput", run.throughput.definition]);
  if (run.goodput && run.goodput.definition) out.push(["Goodput", run.goodput.definition]);
  out.push(["95 % intervals", "of a quantile from the order statistics, of a mean by the normal approximation; both take requests as independent. " +
    "Of several runs of one load: Student's t over the runs"]);
  out.push(["Steady window", run.window ? `${plain(run.window[0])} s to ${plain(run.window[1])} s of the run, shaded in the charts: the part with the planned load. ` +
    "Latencies and throughput are of it alone" : "the whole run"]);
  return words(out);
}

function showRun(box, run) {
  box.replaceChildren();
  delete groups.time;
  const summary = html("div", { "class": "grid" }, requestCard(run), throughputCard(run), goodputCard(run));
  const latencies = html("div", { "class": "grid", style: "margin-top:14px" }, MAIN.map(name => latencyCard(run, name)));
  box.append(html("h2", {}, data.runs.length > 1 ? "Figures of " + run.label : "Summary"), summary, latencies);
  if (Object.keys(run.distributions).length) {
    const grid = html("div", { "class": "grid wide" });
    box.append(html("h2", {}, "Distributions", html("small", {}, "of good requests in the steady window")), grid);
    for (const name of MAIN) distribution(grid, run, name);
  }
  timeline(box, run);
  if (Object.keys(run.metrics).length) box.append(html("h2", {}, "All figures"), metricTable(run));
  box.append(html("h2", {}, "What the figures mean"), definitions(run));
  const cpu = run.client && known(run.client.cpu_share) ? [["client's use of one core", percent(run.client.cpu_share)]] : [];
  if (run.facts.length) box.append(html("h2", {}, "What was run"), words(run.facts.concat(cpu)));
}

function main() {
  report.replaceChildren();
  head();
  if (data.error) { warningBox("Nothing to show", [data.error]); return; }
  warnings();
  if (data.levels.length > 1) sweep();
  const box = html("div");
  if (data.runs.length > 1) {
    const tabs = data.runs.map(run => html("button", { type: "button", "aria-pressed": "false" }, run.label));
    const choose = i => { tabs.forEach((tab, j) => tab.setAttribute("aria-pressed", i === j)); showRun(box, data.runs[i]); };
    tabs.forEach((tab, i) => tab.addEventListener("click", () => choose(i)));
    report.append(html("h2", {}, "One run"), html("div", { "class": "tabs", role: "group", "aria-label": "runs" }, tabs), box);
    // The first to be seen is the one with the most throughput: where a sweep gets interesting.
    const flow = data.runs.map(r => r.throughput && r.throughput.output_tokens_per_s || 0);
    choose(flow.indexOf(Math.max(...flow)));
  } else {
    report.append(box);
    showRun(box, data.runs[0]);
  }
  report.append(html("footer", {}, "Made by pagoda bench report. This file holds all it needs and asks for nothing."));
}
main();
)js";

}  // namespace pagoda
