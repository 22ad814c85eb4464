"""The HTML template of an article; ``miii.notebook.html`` escapes the values."""

ARTICLE = r"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{ title }}</title>
<style>
:root { color-scheme: light dark; --line: #d5d9de; --quiet: #59636e; --back: #f4f6f8; }
@media (prefers-color-scheme: dark) { :root { --line: #3a424b; --quiet: #9aa5b1; --back: #1b2128; } }
body { margin: 0 auto; max-width: 52rem; padding: 1rem; font: 1rem/1.6 system-ui, sans-serif; }
body { overflow-wrap: break-word; }
article + article { margin-top: 5rem; }
h1 { margin: 1rem 0 0; line-height: 1.2; }
h2 { margin-top: 2.5rem; line-height: 1.25; }
.of, figcaption { color: var(--quiet); }
figure { margin: 1.5rem 0; }
figcaption p { display: inline; }
math { font-size: 1.05em; }
mtd[columnalign="right"] { text-align: right; }
mtd[columnalign="left"] { text-align: left; }
.charts { display: grid; gap: 1rem; grid-template-columns: minmax(0, 1fr); }
.chart, .text, math[display="block"] { overflow-x: auto; }
.chart.vega-embed { width: 100%; box-sizing: border-box; }
details { margin: .5rem 0; }
.vega-embed details { margin: 0; }
summary { cursor: pointer; color: var(--quiet); }
pre { overflow-x: auto; padding: .75rem; background: var(--back); border-radius: .4rem; }
pre { font-size: .8rem; line-height: 1.45; }
table { border-collapse: collapse; font-size: .9rem; }
th, td { padding: .25rem .6rem; border-bottom: 1px solid var(--line); text-align: left; }
@media (min-width: 48rem) { .charts.several { grid-template-columns: repeat(2, minmax(0, 1fr)); } }
{% if network %}
{{ network.style }}
{% endif %}
</style>
</head>
<body>
{% if pages | length > 1 %}
<nav><ul>
{% for page in pages %}
<li><a href="#page-{{ loop.index }}">{{ page.title }}</a></li>
{% endfor %}
</ul></nav>
{% endif %}
{% for page in pages %}
<article>
<h1 id="page-{{ loop.index }}">{{ page.title }}</h1>
{% if page.run is not none or page.link %}
<p class="of">
{% if page.run is not none %}
Run <code>{{ page.run }}</code>{% if page.step is not none %}, step {{ page.step }}{% endif %}.
{% endif %}
{% if page.link %}
<a href="{{ page.link }}">This page in the app</a>
{% endif %}
</p>
{% endif %}
{% for block in page.blocks %}
{% if block.charts is defined %}
<figure id="figure-{{ block.number }}" aria-label="{{ block.alt }}">
<div class="charts{{ ' several' if block.charts | length > 1 }}">
{% for chart in block.charts %}
<div>
<div class="chart" data-name="{{ block.name }}">{{ block.alt }}</div>
<script type="application/json">{{ chart }}</script>
</div>
{% endfor %}
</div>
<figcaption><b>Figure {{ block.number }}.</b> {{ block.caption }}</figcaption>
<details><summary>Code</summary>
<pre><code>{{ block.code }}</code></pre>
</details>
</figure>
{% else %}
<div class="text">{{ block.text }}</div>
{% endif %}
{% endfor %}
</article>
{% endfor %}
{% if network %}
<section>
<h2 id="network">Ask the network yourself</h2>
<p>Type two numbers; the right answer is {{ network.answer }}. The weights of <code>{{ network.run }}</code> at step
{{ network.step }} are part of this file, in float16, and your browser computes what the network answers.
{% if network.turns %}
The slider turns the planes in which the last MLP writes the sum, and nothing else. The answer follows.
{% endif %}
</p>
<div class="network"></div>
<script type="application/json" id="network-values">{{ network.json }}</script>
</section>
{% endif %}
<footer>
<h2>Cite</h2>
<pre><code>{{ bibtex }}</code></pre>
<p class="of">Exported on {{ date }}.</p>
{% if config %}
<details><summary>Config of the run</summary>
<pre><code>{{ config }}</code></pre>
</details>
{% endif %}
</footer>
{% if vega %}
<script>{{ vega }}</script>
{% endif %}
<script>
const dark = window.matchMedia("(prefers-color-scheme: dark)");
function draw() {
  for (const chart of document.querySelectorAll(".chart")) {
    vegaEmbed(chart, JSON.parse(chart.nextElementSibling.textContent), {
      mode: "vega-lite",
      theme: dark.matches ? "dark" : undefined,
      config: { background: "transparent", axis: { gridColor: dark.matches ? "#3a424b" : "#e1e5ea" } },
      actions: { export: true, source: false, compiled: false, editor: false },
      downloadFileName: chart.dataset.name,
    }).catch((error) => { chart.textContent = error; });
  }
}
draw();
dark.addEventListener("change", draw);
</script>
{% if network %}
<script>
{{ network.script }}
showNetwork(document.querySelector(".network"), JSON.parse(document.getElementById("network-values").textContent));
</script>
{% endif %}
</body>
</html>
"""
