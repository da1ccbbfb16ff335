use super::*;

#[test]
fn they_are_passed_on_as_they_are() {
    let rounds =
        Rounds { update_10ns: 1, update_50ns: 2, update_1us: 3, spin_50ns: 4, spin_500ns: 5, spin_1us: 6 };
    assert_eq!(Rounds::parse(&rounds.to_string()), Some(rounds));
    assert_eq!(Rounds::parse("1,2,3"), None);
    assert_eq!(Rounds::parse(""), None);
}
