"""The style sheet of a report: light or dark as the reader's system has it, for a phone, a wide screen and paper."""

STYLE = """
:root{color-scheme:light dark;--bg:#fcfcfb;--card:#fff;--ink:#1b1f24;--soft:#55606a;--line:#dfe3e6;--accent:#1f6f8b;
--warm:#b04a12;--good:#237047;--on:#fff}
@media (prefers-color-scheme:dark){:root{--bg:#14171a;--card:#1c2024;--ink:#e8eaec;--soft:#a3adb6;--line:#333a40;
--accent:#5cb3d0;--warm:#ee9257;--good:#6cc492;--on:#0d1114}}
*{box-sizing:border-box}
body{margin:0;background:var(--bg);color:var(--ink);font:15px/1.5 system-ui,sans-serif}
main{max-width:1180px;margin:0 auto;padding:28px 20px 60px}
h1{font-size:26px;margin:0 0 4px}h2{font-size:18px;margin:0 0 10px}h3{font-size:14px;margin:10px 0 4px}
.lead{font-size:16px;max-width:75ch}.soft,.note{color:var(--soft)}.note{font-size:13px;max-width:95ch}
dl.facts{display:grid;grid-template-columns:max-content 1fr;gap:2px 14px;margin:10px 0 14px}
dl.facts dt{color:var(--soft)}dl.facts dd{margin:0;overflow-wrap:anywhere}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(180px,1fr));gap:12px;margin:18px 0}
.tile,section{background:var(--card);border:1px solid var(--line);border-radius:8px}
.tile{padding:12px 14px;min-width:0;overflow-wrap:anywhere}.tile b{display:block;font-size:24px;line-height:1.25}
section{padding:16px 18px;margin:14px 0}
.plots{display:flex;flex-wrap:wrap;gap:14px 26px;align-items:flex-start}svg{max-width:100%;height:auto}
.scroll{overflow-x:auto}table{border-collapse:collapse;font-size:14px;font-variant-numeric:tabular-nums}
th,td{padding:5px 10px;text-align:right;border-bottom:1px solid var(--line)}th{color:var(--soft);font-weight:600}
td{white-space:nowrap}.matrix td{padding:4px 6px;font-size:12.5px}
th:first-child,td:first-child{text-align:left}tr.best td{font-weight:650}
td.error{white-space:pre-wrap;text-align:left}.matrix td:first-child{white-space:normal}
td.up{color:var(--good)}td.down{color:var(--warm)}td.sure{font-weight:650}
code,pre{font:13px/1.5 ui-monospace,monospace}td code{white-space:normal;overflow-wrap:anywhere}
details summary{cursor:pointer;color:var(--accent)}
text{font:12px system-ui,sans-serif;fill:var(--ink)}text.tick,text.axis{fill:var(--soft)}
text.on{fill:var(--on)}text.strong{font-weight:650}path{fill:none;stroke:var(--soft)}
path.grid{stroke:var(--line)}path.lead{stroke:var(--line)}path.front{stroke:var(--accent);stroke-dasharray:2 4}
path.bar{stroke:var(--accent);stroke-opacity:.6;stroke-width:2.5}path.paper{stroke:var(--warm);stroke-width:1.6}
path.curve{stroke:var(--accent);stroke-width:1.4;stroke-opacity:.75}path.dashed{stroke:var(--warm);stroke-dasharray:4 3}
circle.dot{fill:var(--accent)}circle.best{fill:var(--accent)}
rect.right{fill:var(--accent)}rect.wrong{fill:var(--warm)}
.sentence{line-height:2.1;margin:4px 0 16px}.word{padding:2px 3px;border-radius:4px;
background:color-mix(in srgb,var(--accent) var(--a),transparent)}.word.entity{border-bottom:2px solid var(--warm)}
.chip{font-size:12px;border:1px solid var(--line);border-radius:99px;padding:1px 9px;margin-right:8px}
.scale{white-space:nowrap;font-size:12px;color:var(--soft);margin-left:8px}.scale i{display:inline-block;width:64px;
height:9px;border-radius:3px;margin:0 5px;border:1px solid var(--line);
background:linear-gradient(90deg,transparent,color-mix(in srgb,var(--accent) 65%,transparent))}
@media (max-width:640px){main{padding:18px 10px 40px}section{padding:12px}
.plots>.scroll{width:100%}.stack thead{display:none}
.stack table,.stack tbody,.stack tr,.stack td{display:block;width:100%}
.stack tr{padding:8px 0;border-bottom:1px solid var(--line)}.stack tr:last-child{border-bottom:0}
.stack td{display:flex;justify-content:space-between;gap:16px;border:0;padding:1px 0;white-space:normal}
.stack td::before{content:attr(data-label);color:var(--soft);font-weight:400;white-space:nowrap}
.stack td:first-child{font-weight:650;overflow-wrap:anywhere}.stack td:first-child::before{content:none}
.stack td.error{display:block}.stack td.error::before{content:none}}
@media print{@page{size:A4 landscape;margin:11mm}body{background:#fff;font-size:12px}main{max-width:none;padding:0}
section,.tile{border-color:#ccc}.tile,tr,.plots>*{break-inside:avoid}h2{break-after:avoid}.scroll{overflow:visible}
table{font-size:10.5px}th,td{padding:2px 7px}.matrix td{padding:2px 4px;font-size:9px}svg{max-height:66mm;width:auto}
.word,.scale i,rect{print-color-adjust:exact;-webkit-print-color-adjust:exact}
details::details-content{content-visibility:visible;block-size:auto}}
"""
