// The style of a report: light, dark, print and narrow screens.
#include "bench/report_page.h"

namespace pagoda {

// The colours of lines are of Okabe and Ito's palette, which colour-blind readers can tell apart;
// in the dark some are lighter.
const char* const kReportStyle = R"css(
:root { --page: #f6f7f9; --card: #fff; --text: #171b24; --soft: #5a6372; --faint: #e4e7ec;
  --grid: #eceef2; --axis: #b8bfca; --blue: #0072b2; --orange: #d55e00; --green: #00805f;
  --purple: #a64d82; --amber-page: #fff6e0; --amber-edge: #e69f00; --amber-text: #6b4a00;
  --band: rgba(0, 114, 178, .06); --shadow: 0 1px 2px rgba(23, 27, 36, .05), 0 4px 16px rgba(23, 27, 36, .04);
  --accent: #c8452b; }
@media (prefers-color-scheme: dark) {
  :root { --page: #0f1218; --card: #181c25; --text: #e8ebf1; --soft: #9aa4b4; --faint: #2a303c;
    --grid: #232833; --axis: #4b5464; --blue: #56b4e9; --orange: #f0913f; --green: #2fc79a;
    --purple: #dd92bf; --amber-page: #2b2410; --amber-edge: #e69f00; --amber-text: #f3d48a;
    --band: rgba(86, 180, 233, .07); --shadow: none; --accent: #f07a5c; } }
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; }
body { margin: 0; background: var(--page); color: var(--text);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", "Noto Sans", sans-serif; }
main { max-width: 1180px; margin: 0 auto; padding: 28px 24px 48px; }
h1, h2, h3, p, figure, dl, dd, ul { margin: 0; padding: 0; }
h1 { font-size: 27px; line-height: 1.2; letter-spacing: -.015em; overflow-wrap: anywhere; }
h2 { font-size: 18px; letter-spacing: -.01em; margin: 36px 0 12px; }
h2 small { font-weight: 400; font-size: 13px; color: var(--soft); margin-left: 8px; letter-spacing: 0; }
h3 { font-size: 13px; font-weight: 600; }
header { display: flex; gap: 16px; align-items: flex-start; }
header svg { flex: none; width: 46px; height: 46px; color: var(--accent); }
.eyebrow { color: var(--soft); font-size: 13px; }
.chips { display: flex; flex-wrap: wrap; gap: 6px; margin-top: 12px; padding: 0; list-style: none; }
.chips li { background: var(--card); border: 1px solid var(--faint); border-radius: 999px; padding: 2px 11px;
  font-size: 13px; color: var(--soft); overflow-wrap: anywhere; min-width: 0; }
.chips b { color: var(--text); font-weight: 600; }
.warning { margin-top: 18px; background: var(--amber-page); border: 1px solid var(--amber-edge);
  border-left-width: 5px; border-radius: 8px; padding: 10px 14px; color: var(--amber-text); overflow-wrap: anywhere; }
.warning ul { padding-left: 18px; }
.grid { display: grid; gap: 14px; grid-template-columns: repeat(auto-fit, minmax(min(100%, 250px), 1fr)); }
.grid.wide { grid-template-columns: repeat(auto-fit, minmax(min(100%, 460px), 1fr)); }
.grid.three { grid-template-columns: repeat(auto-fit, minmax(min(100%, 320px), 1fr)); }
.card, figure { background: var(--card); border: 1px solid var(--faint); border-radius: 12px; padding: 15px 17px;
  box-shadow: var(--shadow); min-width: 0; position: relative; break-inside: avoid; }
.card > h3 { color: var(--soft); }
.card .spark { position: absolute; right: 17px; top: 44px; width: 84px; height: 32px; fill: var(--blue); opacity: .45; }
.big { font-size: 29px; line-height: 1.25; font-weight: 650; letter-spacing: -.02em; font-variant-numeric: tabular-nums;
  margin: 3px 0 6px; }
.big small { font-size: 14px; font-weight: 500; color: var(--soft); letter-spacing: 0; margin-left: 5px; }
.rows { width: 100%; border-collapse: collapse; font-size: 13px; font-variant-numeric: tabular-nums; }
.rows td, .rows th { padding: 3px 0; border-top: 1px solid var(--faint); text-align: right; vertical-align: baseline; }
.rows th { text-align: left; font-weight: 500; color: var(--soft); padding-right: 8px; }
.rows td + td { padding-left: 10px; }
.ci { color: var(--soft); font-size: 12px; white-space: nowrap; font-weight: 400; }
.bar { height: 6px; border-radius: 3px; background: var(--orange); overflow: hidden; margin: 2px 0 9px; }
.bar i { display: block; height: 100%; background: var(--green); }
[title]:is(h3, th, dt, .hint) { text-decoration: underline dotted var(--axis); text-underline-offset: 3px; cursor: help; }
.panels { background: var(--card); border: 1px solid var(--faint); border-radius: 12px; padding: 5px 17px; box-shadow: var(--shadow); }
.panels figure { border: 0; border-radius: 0; box-shadow: none; padding: 10px 0 6px; background: none; }
.panels figure + figure { border-top: 1px solid var(--faint); }
figure figcaption { display: flex; flex-wrap: wrap; gap: 2px 14px; align-items: baseline; margin-bottom: 4px; }
.legend { display: flex; flex-wrap: wrap; gap: 0 12px; font-size: 12px; color: var(--soft); margin-left: auto; }
.legend span { display: inline-flex; align-items: center; gap: 5px; }
.legend svg { width: 18px; height: 10px; }
figure > svg { display: block; width: 100%; overflow: visible; touch-action: pan-y; }
figure > svg:focus-visible { outline: 2px solid var(--blue); outline-offset: 4px; border-radius: 4px; }
svg text { fill: var(--soft); font-size: 11.5px; font-variant-numeric: tabular-nums; font-family: inherit; }
.gridline { stroke: var(--grid); } .axis { stroke: var(--axis); }
.band { fill: var(--band); }
.mark { stroke-dasharray: 2 3; } svg text.mark-text { fill: var(--text); font-size: 11px; font-weight: 600; }
svg text.halo { paint-order: stroke; stroke: var(--card); stroke-width: 3.5px; stroke-linejoin: round; }
.line { fill: none; stroke-width: 2; stroke-linejoin: round; stroke-linecap: round; }
.cursor { stroke: var(--soft); stroke-width: 1; pointer-events: none; }
.tip { position: absolute; pointer-events: none; background: var(--text); color: var(--page); border-radius: 7px;
  padding: 6px 9px; font-size: 12px; line-height: 1.45; white-space: nowrap; z-index: 5; opacity: 0;
  font-variant-numeric: tabular-nums; max-width: 100%; }
.tip b { display: block; font-weight: 650; }
.note { color: var(--soft); font-size: 12px; margin-top: 6px; }
.tabs { display: flex; flex-wrap: wrap; gap: 6px; margin-top: 8px; }
.tabs button { font: inherit; font-size: 13px; padding: 4px 13px; border-radius: 999px; cursor: pointer; color: var(--text);
  background: var(--card); border: 1px solid var(--axis); }
.tabs button[aria-pressed=true] { background: var(--text); color: var(--page); border-color: var(--text); }
.scroll { overflow-x: auto; background: var(--card); border: 1px solid var(--faint); border-radius: 12px; margin-top: 14px; }
.table { border-collapse: collapse; width: 100%; font-size: 13px; font-variant-numeric: tabular-nums; }
.table th, .table td { padding: 7px 12px; text-align: right; white-space: nowrap; border-top: 1px solid var(--faint); }
.table thead th { border-top: 0; color: var(--soft); font-weight: 600; }
.table th:first-child { text-align: left; font-weight: 600; }
.table .ci { display: block; }
details { margin-top: 22px; } summary { cursor: pointer; font-weight: 600; }
.words { display: grid; grid-template-columns: minmax(110px, auto) 1fr; gap: 5px 16px; font-size: 13px; margin-top: 12px; }
.words dt { color: var(--soft); overflow-wrap: anywhere; } .words dd { overflow-wrap: anywhere; min-width: 0; }
footer { margin-top: 36px; color: var(--soft); font-size: 12px; }
@media (max-width: 560px) {
  main { padding: 18px 12px 32px; } h1 { font-size: 21px; } header svg { width: 36px; height: 36px; }
  .card, figure { padding: 12px 12px; } .panels { padding: 4px 12px; } .legend { margin-left: 0; } .words { grid-template-columns: 1fr; gap: 0; }
  .words dd { margin-bottom: 8px; } }
@media print {
  :root { --page: #fff; --card: #fff; --text: #000; --soft: #444; --faint: #ccc; --grid: #e6e6e6; --axis: #999;
    --blue: #0072b2; --orange: #d55e00; --green: #00805f; --purple: #a64d82; --amber-page: #fff; --shadow: none;
    --amber-text: #000; --band: rgba(0, 114, 178, .06); --accent: #c8452b; }
  body { font-size: 11px; print-color-adjust: exact; -webkit-print-color-adjust: exact; } main { max-width: none; padding: 0; }
  .tabs, .tip { display: none; } h2 { break-after: avoid; } .scroll { overflow: visible; } }
)css";

}  // namespace pagoda
