"""The looks of the course's report: one style sheet, light and dark, that needs nothing from outside."""

from __future__ import annotations

__all__ = ["STYLE"]

STYLE = """
:root { color-scheme: light dark;
  --paper: #f6f5f1; --card: #fffefb; --ink: #22262b; --soft: #5d666f; --line: #e2dfd6;
  --good: #0b7a5b; --good-wash: #e0f2ea; --bad: #b3261e; --bad-wash: #fbe6e3;
  --late: #9a5b00; --late-wash: #fbeed7; --sky: #2a5f9e; --track: #e8e5dc; }
@media (prefers-color-scheme: dark) { :root {
  --paper: #14171a; --card: #1c2024; --ink: #e9e7e1; --soft: #9aa4ad; --line: #2c3238;
  --good: #5cc9a0; --good-wash: #16332a; --bad: #ff9a8f; --bad-wash: #3d1f1c;
  --late: #f0b35c; --late-wash: #38290f; --sky: #85b7f2; --track: #2b3137; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink);
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; }
main { max-width: 1120px; margin: 0 auto; padding: 3rem 1.25rem 4rem; }
h1 { font-size: clamp(1.7rem, 4vw, 2.6rem); line-height: 1.15; letter-spacing: -.02em; margin: .2rem 0 .5rem; }
h2 { font-size: 1.15rem; margin: 0; } h3 { font-size: .8rem; margin: 0 0 .4rem; color: var(--soft); font-weight: 600; }
p { margin: .3rem 0; } a { color: var(--sky); } .soft { color: var(--soft); }
.over { font-size: .85rem; font-weight: 600; color: var(--sky); letter-spacing: .02em; }
.numbers { display: grid; grid-template-columns: repeat(auto-fit, minmax(150px, 1fr)); gap: 1px; margin: 1.8rem 0;
  background: var(--line); border: 1px solid var(--line); border-radius: 14px; overflow: hidden; }
.numbers div { background: var(--card); padding: 1rem 1.1rem; }
.numbers b { display: block; font-size: 1.55rem; font-variant-numeric: tabular-nums; letter-spacing: -.01em; }
.numbers span { color: var(--soft); font-size: .85rem; }
.strip { display: flex; gap: .4rem; margin: 0 0 1.8rem; padding: 0; list-style: none; flex-wrap: wrap; }
.strip a, .strip span { display: block; width: 2.6rem; padding: .3rem 0; text-align: center; border-radius: 9px;
  font-weight: 600; font-variant-numeric: tabular-nums; text-decoration: none; border: 1px solid transparent; }
.passed { background: var(--good-wash); color: var(--good); }
.failed { background: var(--bad-wash); color: var(--bad); }
.strip .unwritten { color: var(--soft); border: 1px dashed var(--line); }
.left { background: var(--late-wash); border-radius: 14px; padding: 1.1rem 1.3rem; margin: 0 0 1.8rem; }
.left.none { background: var(--good-wash); } .left ul { margin: .3rem 0 0; padding-left: 1.2rem; }
.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 480px), 1fr)); gap: 1.1rem; }
.card { background: var(--card); border: 1px solid var(--line); border-radius: 16px; padding: 1.3rem 1.4rem; }
.card header { display: grid; grid-template-columns: auto 1fr auto; gap: 1rem; align-items: center; }
.card .number { font-size: 1.5rem; font-weight: 700; color: var(--soft); font-variant-numeric: tabular-nums; }
.pill { display: inline-block; padding: .05rem .6rem; border-radius: 99px; font-size: .8rem; font-weight: 600; }
.ring { width: 60px; height: 60px; } .ring text { font: 600 12px system-ui, sans-serif; fill: var(--ink); }
.ring circle { fill: none; stroke-width: 5; stroke: var(--track); } .ring .value { stroke: var(--good); }
.ring.low .value { stroke: var(--bad); }
.bar { height: 8px; border-radius: 99px; background: var(--track); margin: .35rem 0 .2rem; overflow: hidden; }
.bar i { display: block; height: 100%; background: var(--sky); border-radius: 99px; }
.bar.over-budget i { background: var(--late); }
.since { font-size: .85rem; }
.row { display: flex; justify-content: space-between; align-items: baseline; gap: 1rem;
  font-size: .9rem; font-variant-numeric: tabular-nums; }
.part { margin-top: 1.1rem; }
table { width: 100%; border-collapse: collapse; font-size: .9rem; font-variant-numeric: tabular-nums; }
td, th { padding: .3rem .5rem .3rem 0; text-align: left; border-bottom: 1px solid var(--line); vertical-align: top; }
th { color: var(--soft); font-weight: 600; font-size: .8rem; } tr:last-child td { border-bottom: 0; }
td:last-child { white-space: nowrap; color: var(--soft); }
td:not(:nth-child(-n+2)), th:not(:nth-child(-n+2)) { text-align: right; padding-right: 0; padding-left: .5rem; }
code { font: .86em ui-monospace, "SF Mono", Menlo, "DejaVu Sans Mono", monospace; overflow-wrap: anywhere; }
.chip { display: inline-block; border: 1px solid var(--line); border-radius: 99px; padding: 0 .6rem; font-size: .8rem;
  margin: 0 .3rem .3rem 0; } .chip.gone { border-style: dashed; color: var(--late); }
.problem, .note { border-radius: 10px; padding: .5rem .8rem; margin-top: .6rem; font-size: .9rem;
  overflow-wrap: anywhere; }
.problem { background: var(--bad-wash); color: var(--bad); white-space: pre-line; }
.note { background: var(--late-wash); color: var(--late); }
.later { columns: 2 260px; margin: .6rem 0 0; padding-left: 1.2rem; color: var(--soft); }
section > h2 { margin: 2.4rem 0 .8rem; }
footer { margin-top: 2.4rem; color: var(--soft); font-size: .85rem; }
@media print { body { background: #fff; } .card { break-inside: avoid; } }
"""
