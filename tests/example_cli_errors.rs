//! Bad arguments of `examples/http_server` end it with one line that names them, and an exit code that is not 0.

mod example_process;
mod watchdog;

use std::net::TcpListener;
use std::process::{Command, Stdio};
use std::time::Duration;

use watchdog::watchdog;

/// The one line on stderr.
fn error(arguments: &[&str]) -> String {
    let output = Command::new(example_process::path()).args(arguments).stdin(Stdio::null()).output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success() && output.status.code().is_some(), "{arguments:?}: {:?}", output.status);
    assert_eq!(stderr.lines().count(), 1, "{arguments:?}: {stderr}");
    assert!(stderr.starts_with("error: "), "{arguments:?}: {stderr}");
    assert!(output.stdout.is_empty(), "{arguments:?} printed {:?}", String::from_utf8_lossy(&output.stdout));
    stderr
}

#[test]
fn each_names_its_cause() {
    let _watchdog = watchdog(Duration::from_secs(60));
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    assert!(error(&["--addr", &address]).contains(&address));

    for address in
        ["", "nonsense", "127.0.0.1", "127.0.0.1:", "127.0.0.1:99999", "127.0.0.1:http", "256.0.0.1:80"]
    {
        let line = error(&["--addr", address]);
        assert!(line.contains(address) && line.contains("cannot listen"), "{line}");
    }
    for workers in ["0", "-1", "1000000", "99999999999999999999", "two", ""] {
        let line = error(&[&format!("--workers={workers}")]);
        assert!(line.contains("--workers") && line.contains(workers), "{line}");
    }
    assert!(error(&["--dir", "/no/such/directory"]).contains("/no/such/directory"));
    assert!(error(&["--dir", file!()]).contains(file!()));
    assert!(error(&["--dir"]).contains("--dir"));
    assert!(error(&["--frobnicate"]).contains("--frobnicate"));
    assert!(error(&["extra"]).contains("extra"));
}

#[test]
fn help_is_no_error() {
    for name in ["http_server", "echo_server"] {
        let output = Command::new(example_process::path_of(name)).arg("--help").output().unwrap();
        assert!(
            output.status.success() && String::from_utf8(output.stdout).unwrap().contains("usage"),
            "{name}"
        );
        assert!(output.stderr.is_empty(), "{name}");
    }
}
