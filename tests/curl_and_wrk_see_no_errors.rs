//! `examples/http_server` as curl and wrk see it. Without these tools the test is skipped, and says so; with `CI=true`
//! it fails.

mod example_process;
mod watchdog;

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use example_process::HttpServer;
use watchdog::watchdog;

/// What the tool prints, or `None` if it is not installed.
fn output(tool: &str, arguments: &[&str]) -> Option<String> {
    let result = Command::new(tool).args(arguments).stdin(Stdio::null()).stderr(Stdio::inherit()).output();
    match result {
        Ok(output) => {
            assert!(output.status.success(), "{tool} {arguments:?}: {}", output.status);
            Some(String::from_utf8_lossy(&output.stdout).into_owned())
        }
        Err(error) => {
            assert!(std::env::var_os("CI").is_none_or(|ci| ci != "true"), "{tool} does not start: {error}");
            println!("skipped: {tool} does not start: {error}");
            None
        }
    }
}

#[test]
fn curl_gets_what_it_asks_for() {
    let _watchdog = watchdog(Duration::from_secs(60));
    let server = HttpServer::start(&["--workers", "2", "--dir", env!("CARGO_MANIFEST_DIR")]);
    let url = |path: &str| format!("http://{}{path}", server.address);
    let Some(text) = output("curl", &["-sSf", &url("/plaintext"), &url("/json")]) else { return };
    assert_eq!(text, r#"Hello, World!{"message":"Hello, World!"}"#);
    let echo = output("curl", &["-sSf", "--data-binary", "@Cargo.toml", &url("/echo")]).unwrap_or_default();
    let file = output("curl", &["-sSf", &url("/files/Cargo.toml")]).unwrap_or_default();
    assert_eq!(echo, include_str!("../Cargo.toml"));
    assert_eq!(file, include_str!("../Cargo.toml"));
}

/// A client with a large body asks first, and waits a second for the answer.
#[test]
fn curl_is_told_to_continue() {
    let _watchdog = watchdog(Duration::from_secs(60));
    let server = HttpServer::start(&["--workers", "2"]);
    let url = format!("http://{}/echo", server.address);
    let expect = ["-sSf", "-H", "Expect: 100-continue", "--expect100-timeout", "30", "--data", "hello", &url];
    let begun = Instant::now();
    let Some(echo) = output("curl", &expect) else { return };
    assert_eq!(echo, "hello");
    assert!(begun.elapsed() < Duration::from_secs(20), "it took {:?}", begun.elapsed());
}

#[test]
fn wrk_reports_no_errors() {
    let _watchdog = watchdog(Duration::from_secs(60));
    let server = HttpServer::start(&["--workers", "2"]);
    let url = format!("http://{}/plaintext", server.address);
    let Some(report) = output("wrk", &["-t2", "-c64", "-d2", &url]) else { return };
    assert!(report.contains("Requests/sec"), "{report}");
    assert!(!report.contains("Socket errors") && !report.contains("Non-2xx"), "{report}");
}
