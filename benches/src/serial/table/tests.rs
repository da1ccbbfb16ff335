use super::*;

/// Two tasks that update a table in turns of the given lengths.
fn totals_of(turns: [usize; 4]) -> Totals {
    let mut table = Table::new();
    let mut numbers = [first_number(0), first_number(1)];
    for (turn, &calls) in turns.iter().enumerate() {
        for _ in 0..calls {
            numbers[turn % 2] = table.update(numbers[turn % 2], 3);
        }
    }
    table.totals()
}

#[test]
fn the_order_of_the_callers_does_not_matter() {
    let totals = totals_of([500, 0, 500, 1000]);
    assert_eq!(totals.updates, 2000);
    assert_eq!(totals, totals_of([0, 1000, 1000, 0]));
    assert_eq!(totals, totals_of([1, 999, 999, 1]));
}

#[test]
fn what_is_computed_shows() {
    assert_ne!(totals_of([1000, 1000, 0, 0]).checksum, totals_of([1001, 999, 0, 0]).checksum);
}
