//! `examples/pipeline` adds up what it reads in the order of the lines, however they are parsed.

mod example_process;
mod watchdog;

use std::io::Write;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use watchdog::watchdog;

fn pipeline(arguments: &[&str], input: &[u8]) -> Output {
    let mut command = Command::new(example_process::path_of("pipeline"));
    let command = command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // It may end before it has read everything.
    let _ = child.stdin.take().unwrap().write_all(input);
    child.wait_with_output().unwrap()
}

fn said(output: &Output) -> &str {
    assert!(output.status.success(), "{output:?}");
    std::str::from_utf8(&output.stdout).unwrap()
}

#[test]
fn the_lowest_balance_is_that_of_the_order() {
    let _watchdog = watchdog(Duration::from_secs(120));
    let expected = "500000 entries, 0 refused, balance 1731, lowest -2576\n";
    assert_eq!(said(&pipeline(&[], b"")), expected);

    let input: String = (-5..=100).map(|amount| format!("{amount}\n")).collect();
    let output = pipeline(&["-"], input.as_bytes());
    assert_eq!(said(&output), "106 entries, 0 refused, balance 5035, lowest -15\n");
}

#[test]
fn what_is_no_amount_is_refused() {
    let _watchdog = watchdog(Duration::from_secs(60));
    let output = pipeline(&["-"], b"10\nx\n\n 5 \n9223372036854775807\n-99999999999999999999\n1");
    assert_eq!(said(&output), "3 entries, 4 refused, balance 16, lowest 0\n");
    assert_eq!(said(&pipeline(&["-"], b"")), "0 entries, 0 refused, balance 0, lowest 0\n");

    for (argument, input) in [("-", &b"1\n\xff\n"[..]), ("nonsense", b"")] {
        let output = pipeline(&[argument], input);
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{stderr}");
        assert!(output.stdout.is_empty() && stderr.contains("error: "), "{stderr}");
    }
}
