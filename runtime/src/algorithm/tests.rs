//! The table and the example of the module's documentation say the same.

#[test]
fn every_line_of_the_table_is_compiled() {
    let source = include_str!("mod.rs");
    let (tables, example) = source.split_once("# The lines").unwrap();
    let mut lines = 0;
    for row in tables.lines().filter(|line| line.starts_with("//! | ")) {
        let (_rest, line) = row.trim_end_matches(" |").rsplit_once(" | ").unwrap_or_default();
        if let Some(line) = line.strip_prefix('`').and_then(|line| line.strip_suffix('`')) {
            assert!(example.contains(&format!("{line};")), "{line}");
            lines += 1;
        }
    }
    assert!(lines > 15, "{lines} lines");
}
