use super::*;
use crate::catalog::WORKLOADS;
use crate::cli::{Gate, Metric};

fn outcome(name: &str, ours: f64, theirs: f64) -> Outcome {
    let workload = WORKLOADS.iter().find(|workload| workload.name == name).expect("it is in the catalog");
    let row =
        |peer, value| Row { peer, samples: vec![Sample { value, cpu_per_op_ns: 2.0 * value, tail: None }] };
    Outcome {
        selected: Selected { workload, variant: workload.variants[0] },
        rows: vec![row(Peer::Tress, ours), row(Peer::Tokio, theirs)],
        failed: Vec::new(),
    }
}

fn holds(
    outcome: Outcome,
    metric: Metric,
    max_cost_ratio: Option<f64>,
    min_speed_ratio: Option<f64>,
) -> bool {
    check(Gate { against: Peer::Tokio, metric, max_cost_ratio, min_speed_ratio }, &[outcome])
}

#[test]
fn median_of_odd_even_and_nothing() {
    assert_eq!(median(&[1.0, 2.0, 9.0]), 2.0);
    assert_eq!(median(&[1.0, 2.0, 4.0, 9.0]), 3.0);
    assert!(median(&[]).is_nan());
}

#[test]
fn a_max_ratio_bounds_the_cost_whichever_way_is_better() {
    assert!(holds(outcome("spawn_join", 60.0, 100.0), Metric::Value, Some(0.6), None));
    assert!(!holds(outcome("spawn_join", 61.0, 100.0), Metric::Value, Some(0.6), None));
    assert!(holds(outcome("echo", 101.0, 100.0), Metric::Value, Some(1.0), None));
    assert!(!holds(outcome("echo", 99.0, 100.0), Metric::Value, Some(1.0), None));
}

#[test]
fn a_min_ratio_bounds_the_speed_whichever_way_is_better() {
    assert!(holds(outcome("echo", 120.0, 100.0), Metric::Value, None, Some(1.2)));
    assert!(!holds(outcome("echo", 119.0, 100.0), Metric::Value, None, Some(1.2)));
    assert!(holds(outcome("spawn_join", 50.0, 100.0), Metric::Value, None, Some(2.0)));
    assert!(!holds(outcome("spawn_join", 51.0, 100.0), Metric::Value, None, Some(2.0)));
}

#[test]
fn cpu_time_is_better_lower_even_where_the_value_is_better_higher() {
    assert!(holds(outcome("echo", 90.0, 100.0), Metric::Cpu, Some(0.9), None));
    assert!(!holds(outcome("echo", 110.0, 100.0), Metric::Cpu, Some(1.0), None));
}

#[test]
fn a_gate_without_figures_does_not_hold() {
    let mut missing = outcome("spawn_join", 1.0, 100.0);
    missing.rows.pop();
    assert!(!holds(missing, Metric::Value, Some(1.0), None));
}
