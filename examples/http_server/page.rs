//! The page about the live runtime.

use std::borrow::Cow;
use std::fmt::Write;
use std::time::Duration;

use tress::Handle;

/// What the page shows, as JSON.
pub(crate) fn stats(uptime: Duration, requests: u64) -> String {
    let Ok(runtime) = Handle::try_current() else { return "{}".to_owned() };
    let metrics = runtime.metrics();
    let workers = metrics.workers();
    let sum = |field: fn(&tress::runtime::WorkerMetrics) -> u64| workers.iter().map(field).sum::<u64>();
    let mut json = format!(
        r#"{{"uptime_seconds":{},"requests":{requests},"workers":{},"live_tasks":{},"#,
        uptime.as_secs(),
        workers.len(),
        metrics.live_tasks(),
    );
    let totals = [("polls", sum(|w| w.polls)), ("steals", sum(|w| w.steals)), ("parks", sum(|w| w.parks))];
    for (name, total) in totals {
        // Writing to a string does not fail.
        let _ = write!(json, r#""{name}":{total},"#);
    }
    let each = workers.iter().map(|w| {
        let (polls, steals, parks, sockets) = (w.polls, w.steals, w.parks, w.sockets);
        format!(r#"{{"polls":{polls},"steals":{steals},"parks":{parks},"sockets":{sockets}}}"#)
    });
    let _ = write!(json, r#""each_worker":[{}]}}"#, each.collect::<Vec<_>>().join(","));
    json
}

/// The page itself.
pub(crate) fn html(has_files: bool) -> Cow<'static, str> {
    match has_files {
        true => Cow::Owned(
            HTML.replace("<!-- files -->", ", and the files of a directory: <code>/files/PATH</code>"),
        ),
        false => Cow::Borrowed(HTML),
    }
}

const HTML: &str = r##"<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>tress</title>
<style>
  body { font: 16px/1.5 system-ui, sans-serif; max-width: 44rem; margin: 3rem auto; padding: 0 1rem;
         color: #1d2530; background: #f7f7f4 }
  dl { display: grid; grid-template-columns: repeat(auto-fit, minmax(9rem, 1fr)); gap: 1rem }
  dl div { background: #fff; border-radius: .5rem; padding: .75rem 1rem; box-shadow: 0 1px 3px #0002 }
  dt { color: #667; font-size: .85rem } dd { margin: 0; font-size: 1.5rem; font-variant-numeric: tabular-nums }
  table { border-collapse: collapse; width: 100% } td, th { text-align: right; padding: .25rem .75rem }
  tr + tr { border-top: 1px solid #0001 }
</style>
<h1>tress</h1>
<p>This page comes from the runtime that it is about.</p>
<dl id="totals"></dl>
<table><thead><tr><th>worker<th>polls<th>steals<th>parks<th>sockets</thead><tbody id="workers"></tbody></table>
<p>Also here: <a href="/plaintext">/plaintext</a>, <a href="/json">/json</a>, <a href="/stats.json">/stats.json</a>,
<a href="/tasks">/tasks</a>, <a href="/tasks.json">/tasks.json</a><!-- files --></p>
<noscript><p>The numbers need JavaScript; <a href="/stats.json">/stats.json</a> does not.</p></noscript>
<script>
  const number = n => n.toLocaleString("en");
  async function refresh() {
    const { each_worker, ...totals } = await (await fetch("/stats.json")).json();
    document.getElementById("totals").innerHTML = Object.entries(totals)
      .map(([name, value]) => `<div><dt>${name.replaceAll("_", " ")}<dd>${number(value)}</div>`).join("");
    document.getElementById("workers").innerHTML = each_worker
      .map((w, i) => `<tr><td>${[i, ...[w.polls, w.steals, w.parks, w.sockets].map(number)].join("<td>")}`).join("");
  }
  refresh().catch(console.error);
  setInterval(() => refresh().catch(() => {}), 1000);
</script>
</html>
"##;
