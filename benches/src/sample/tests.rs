use super::*;

#[test]
fn a_sample_has_a_tail_or_none() {
    let sample = parse("noise\nsample 1.5 2\n").expect("it is whole");
    assert_eq!((sample.value, sample.cpu_per_op_ns, sample.tail), (1.5, 2.0, None));
    let sample = parse("sample 1.5 2 30 40.5\n").expect("it is whole");
    assert_eq!(sample.tail, Some(Tail { p99_ns: 30.0, p999_ns: 40.5 }));
    for broken in ["", "sample 1", "sample 1 2 3", "sample 1 2 3 many"] {
        assert!(parse(broken).is_none(), "`{broken}` is no sample");
    }
}

#[test]
fn a_tail_is_what_few_calls_exceed() {
    let latencies_ns: Vec<u32> = (0..10_000).rev().collect();
    assert_eq!(Tail::of(latencies_ns), Some(Tail { p99_ns: 9900.0, p999_ns: 9990.0 }));
    assert_eq!(Tail::of(vec![7]), Some(Tail { p99_ns: 7.0, p999_ns: 7.0 }));
    assert_eq!(Tail::of(Vec::new()), None);
}
