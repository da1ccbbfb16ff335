//! The table and the example of the module's documentation say the same.

#[test]
fn every_line_of_the_table_is_compiled() {
    let source = include_str!("mod.rs");
    let (tables, example) = source.split_once("# The lines").unwrap();
    let (_overview, tables) = tables.split_once("| the line |\n").unwrap();
    let is_row = |line: &&str| line.starts_with("//! | ") && !line.ends_with("| the line |");
    let mut lines = 0;
    for row in tables.lines().filter(is_row) {
        let (_rest, line) = row.trim_end_matches(" |").rsplit_once(" | ").unwrap_or_default();
        let line = line.strip_prefix('`').and_then(|line| line.strip_suffix('`'));
        // In a table, a bar is escaped.
        let line = line.unwrap_or_else(|| panic!("a row shows no line: {row}")).replace("\\|", "|");
        assert!(example.contains(&format!("{line};")), "{line}");
        lines += 1;
    }
    assert!(lines > 30, "{lines} lines");
}
