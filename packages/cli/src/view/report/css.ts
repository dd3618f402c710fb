/** The style of the HTML report, for light and dark mode. */

/** The style sheet. The colours of outcomes differ in lightness as well as in hue, for people with colour blindness. */
export const css = `
:root { color-scheme: light dark;
  --ink: #1b1f24; --soft: #5b6570; --line: #e3e6ea; --ground: #ffffff; --card: #f7f8fa;
  --completed: #2e9e6b; --failed: #c2352b; --retried: #e0a030; --in_progress: #3b7dd8; --pending: #c7cdd4;
  --cancelled: #8a939d; --released: #b3a7c9; --in_review: #b7791f; --lease_expired: #8b5fbf; --running: #3b7dd8; }
@media (prefers-color-scheme: dark) { :root {
  --ink: #e8eaed; --soft: #9aa4af; --line: #2c323a; --ground: #14171b; --card: #1c2026;
  --completed: #4cc38a; --failed: #ff6b5e; --retried: #f0b849; --in_progress: #6aa5f0; --pending: #4a525c; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--ground); color: var(--ink);
  font: 15px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif;
  font-variant-numeric: tabular-nums; }
main { max-width: 1008px; margin: 0 auto; padding: 40px 24px 80px; }
.eyebrow { color: var(--soft); margin: 0 0 6px; font-size: 13px; overflow-wrap: anywhere; }
h1 { font-size: 26px; line-height: 1.25; margin: 0 0 18px; letter-spacing: -0.01em; }
h2 { font-size: 16px; margin: 40px 0 12px; }
h3 { font-size: 14px; margin: 16px 0 6px; }
.bar { display: flex; gap: 2px; height: 14px; }
.bar span { min-width: 3px; border-radius: 3px; }
.bar .completed, .dot.completed { background: var(--completed); }
.bar .failed, .dot.failed { background: var(--failed); }
.bar .in_progress, .dot.in_progress, .dot.running { background: var(--in_progress); }
.bar .pending, .dot.pending { background: var(--pending); }
.bar .cancelled, .dot.cancelled { background: var(--cancelled); }
.dot.retried { background: var(--retried); } .dot.released { background: var(--released); }
.bar .in_review, .dot.in_review { background: var(--in_review); }
.dot.lease_expired { background: var(--lease_expired); }
.legend { list-style: none; display: flex; flex-wrap: wrap; gap: 4px 18px; margin: 10px 0 0; padding: 0; color: var(--soft); font-size: 13px; }
.legend li::before { content: ""; display: inline-block; width: 9px; height: 9px; border-radius: 2px; margin-right: 6px; background: currentColor; }
.legend .completed::before { background: var(--completed); } .legend .failed::before { background: var(--failed); }
.legend .retried::before { background: var(--retried); } .legend .pending::before { background: var(--pending); }
.legend .in_progress::before, .legend .running::before { background: var(--in_progress); }
.legend .cancelled::before { background: var(--cancelled); } .legend .released::before { background: var(--released); }
.legend .in_review::before { background: var(--in_review); }
.legend .lease_expired::before { background: var(--lease_expired); }
dl { margin: 0; display: flex; flex-wrap: wrap; gap: 1px; border: 1px solid var(--line); border-radius: 8px; overflow: hidden; }
dl div { flex: 1 1 300px; outline: 1px solid var(--line); padding: 10px 14px; }
dt { color: var(--soft); font-size: 13px; } dd { margin: 2px 0 0; }
table { width: 100%; border-collapse: collapse; }
th { text-align: left; font-weight: 500; color: var(--soft); font-size: 13px; }
th, td { padding: 6px 12px 6px 0; border-bottom: 1px solid var(--line); vertical-align: top; overflow-wrap: anywhere; }
.number { text-align: right; white-space: nowrap; padding-right: 0; padding-left: 12px; }
.chart th { width: 1%; white-space: nowrap; } .chart th, .chart td { border: 0; padding: 3px 12px 3px 0; }
.chart td.number { width: 1%; padding-right: 0; }
.chart td span { display: block; height: 14px; border-radius: 2px; background: var(--in_progress); min-width: 1px; margin-top: 4px; }
.pair { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(360px, 100%), 1fr)); gap: 0 48px; }
svg { display: block; width: 100%; background: var(--card); border-radius: 6px; }
svg .completed { fill: var(--completed); } svg .retried { fill: var(--retried); } svg .failed { fill: var(--failed); }
svg .lease_expired { fill: var(--lease_expired); } svg .cancelled { fill: var(--cancelled); }
svg .in_review { fill: var(--in_review); } svg .released { fill: var(--released); } svg .running { fill: var(--running); }
.axis { display: flex; justify-content: space-between; color: var(--soft); font-size: 13px; margin-top: 6px; }
.note { color: var(--soft); font-size: 13px; margin: 8px 0 0; }
details { border-bottom: 1px solid var(--line); }
summary { cursor: pointer; padding: 8px 0; display: flex; gap: 10px; align-items: baseline; list-style: none; }
summary::-webkit-details-marker { display: none; }
summary:hover .title { text-decoration: underline; text-underline-offset: 3px; }
.dot { flex: none; display: inline-block; width: 9px; height: 9px; border-radius: 50%; }
.title { flex: 1; white-space: nowrap; overflow: hidden; text-overflow: ellipsis; }
.details { color: var(--soft); font-size: 13px; white-space: nowrap; }
li .details { white-space: normal; }
.id { color: var(--soft); font: 12px/1.4 ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; margin: 0 0 8px; overflow-wrap: anywhere; }
pre { background: var(--card); border-radius: 6px; padding: 10px 12px; margin: 6px 0 10px; overflow-x: auto; white-space: pre-wrap; overflow-wrap: anywhere; font: 13px/1.5 ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; }
pre.error { border-left: 3px solid var(--failed); }
li p .dot { margin-right: 7px; }
ol { padding-left: 20px; margin: 10px 0; } ol p { margin: 6px 0; }
li details { border: 0; } li summary { color: var(--soft); font-size: 13px; padding: 2px 0; text-decoration: underline; text-underline-offset: 3px; }
details > :not(summary):last-child { margin-bottom: 20px; }
code { font: 13px ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; background: var(--card); padding: 2px 6px; border-radius: 4px; }
.steps { list-style: none; padding: 0; margin: 0; } .steps li { padding: 4px 0; color: var(--soft); } .steps code { color: var(--ink); margin-right: 8px; }
@media (max-width: 600px) { summary { flex-wrap: wrap; gap: 0 10px; } summary .title { flex-basis: 80%; } summary .title + .details { margin-left: 19px; } }
@media print { details { break-inside: avoid; } }
`
