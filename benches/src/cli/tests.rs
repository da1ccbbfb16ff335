use super::*;

fn parse_line(line: &str) -> Result<Command, UsageError> {
    parse(line.split_whitespace().map(OsString::from))
}

fn error(line: &str) -> String {
    parse_line(line).expect_err("the arguments are wrong")
}

#[test]
fn errors_name_what_was_wrong_in_one_line() {
    for (line, needle) in [
        ("--only nonsense", "nonsense"),
        ("--only echo/65", "echo/65"),
        ("--runs 0", "`0`"),
        ("--runs many", "`many`"),
        ("--runs", "--runs"),
        ("--bogus", "--bogus"),
        ("stray", "stray"),
        ("--against nobody --max-ratio 1", "nobody"),
        ("--against tokio", "--max-ratio"),
        ("--against tress --max-ratio 1", "itself"),
        ("--max-ratio 0.6", "--against"),
        ("--against tokio --max-ratio -1", "`-1`"),
        ("--against tokio --max-ratio 1 --metric wall", "`wall`"),
        ("--only spawn_join --against nginx --max-ratio 1", "nginx"),
        ("--peers smol --against tokio --max-ratio 1", "tokio"),
        ("--json --markdown", "--markdown"),
    ] {
        let message = error(line);
        assert!(message.contains(needle), "`{line}` gives `{message}`");
        assert!(!message.contains('\n'), "`{line}` gives more than one line");
    }
}

#[test]
fn a_bare_workload_means_all_of_its_variants() {
    let Ok(Command::Compare(options)) = parse_line("--only echo,ping_pong/slot") else { panic!("it parses") };
    let labels: Vec<String> =
        options.selection.iter().map(|item| item.workload.label(item.variant)).collect();
    assert_eq!(labels, ["ping_pong/slot", "echo/1", "echo/64", "echo/512"]);
}

#[test]
fn the_default_is_everything_five_times() {
    let Ok(Command::Compare(options)) = parse_line("") else { panic!("it parses") };
    assert_eq!(options.runs, 5);
    let variants: usize = WORKLOADS.iter().map(|workload| workload.variants.len()).sum();
    assert_eq!(options.selection.len(), variants);
}
