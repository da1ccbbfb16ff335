//! Which lane a pick looks into first, and what the gate lets through.

use super::gate::{Begun, Claimed, Gate, GaveWay, Posted};
use super::shared::first_lane;

#[test]
fn a_lane_has_one_in_so_many_picks() {
    for lanes in 1..=5 {
        for lane in 1..lanes {
            let every = 8_u64.pow(u32::try_from(lane).unwrap());
            for window in 0..20 {
                let picks = window * every + 1..=(window + 1) * every;
                let own = picks.filter(|&pick| first_lane(pick, lanes) == lane).count();
                assert_eq!(own, 1, "lane {lane} of {lanes}");
            }
        }
        let own = (1..=4096).filter(|&pick| first_lane(pick, lanes) == 0).count();
        assert!(own * 7 >= 4096 * 6, "the highest of {lanes} has {own}");
    }
}

#[test]
fn one_pump_waits_at_a_time() {
    let gate = Gate::new();
    assert_eq!(gate.transition_to_posted(3), Posted::Start(0));
    assert_eq!(gate.transition_to_posted(3), Posted::Served);
    assert_eq!(gate.transition_to_posted(3), Posted::Served);
    assert_eq!(gate.transition_to_begun(0, 3), Begun::Item { next: Some(1), left: 2 });
    assert_eq!(gate.transition_to_posted(3), Posted::Served);
    assert_eq!(gate.transition_to_given_way(0), GaveWay::Ended);
    assert_eq!(gate.transition_to_begun(1, 3), Begun::Item { next: Some(0), left: 2 });
    assert_eq!(gate.transition_to_begun(0, 3), Begun::Item { next: Some(2), left: 1 });
    assert_eq!(gate.transition_to_begun(2, 3), Begun::Item { next: None, left: 0 });
    // All of them run: what comes now is theirs.
    assert_eq!(gate.transition_to_posted(3), Posted::Served);
    assert_eq!(gate.transition_to_given_way(2), GaveWay::Waits);
    assert_eq!(gate.transition_to_claimed(0), Claimed::Item);
    assert_eq!(gate.transition_to_claimed(0), Claimed::Ended);
    assert_eq!(gate.transition_to_begun(2, 3), Begun::Ended);
    gate.transition_to_deferred();
    assert_eq!(gate.transition_to_given_way(1), GaveWay::Waits);
    gate.transition_to_cancelling();
    assert_eq!(gate.transition_to_claimed(1), Claimed::Item);
    assert_eq!(gate.transition_to_claimed(1), Claimed::Ended);
    assert!(gate.is_at_rest());
}
