//! Frames of every size and alignment: large ones, aligned ones, empty ones; as tasks and in boxes.

use std::pin::pin;
use std::thread;

use tress::{Runtime, frame};

#[repr(align(4096))]
struct Aligned(u8);

fn address<T>(value: &T) -> usize {
    std::ptr::from_ref(value).addr()
}

/// Holds a mebibyte across a yield.
async fn large(fill: u8) -> usize {
    let bytes = [fill; 1 << 20];
    tress::task::yield_now().await;
    assert!(bytes.iter().all(|byte| *byte == fill));
    bytes.len()
}

/// Holds an aligned value across a yield.
async fn aligned(number: u8) -> u8 {
    let value = Aligned(number);
    assert_eq!(address(&value) % align_of::<Aligned>(), 0);
    tress::task::yield_now().await;
    assert_eq!(address(&value) % align_of::<Aligned>(), 0);
    value.0
}

/// Runs `f` with a stack that has room for what is moved into frames.
fn with_stack(f: impl FnOnce() + Send + 'static) {
    thread::Builder::new().stack_size(64 << 20).spawn(f).expect("a thread starts").join().expect("it runs");
}

#[test]
fn a_large_future_is_a_task_and_a_box() {
    with_stack(|| {
        let runtime = Runtime::new().expect("a runtime starts");
        runtime.block_on(async {
            let boxes: Vec<_> = (0..4).map(|n| frame::Box::pin(large(n))).collect();
            let tasks: Vec<_> = boxes.into_iter().map(tress::spawn).collect();
            for task in tasks {
                assert_eq!(task.await.expect("it does not panic"), 1 << 20);
            }
            assert_eq!(pin!(large(9)).await, 1 << 20);
        });
    });
}

#[test]
fn an_aligned_future_is_a_task_and_a_box() {
    with_stack(|| {
        let runtime = Runtime::new().expect("a runtime starts");
        runtime.block_on(async {
            let tasks: Vec<_> = (0..20).map(|n| tress::spawn(aligned(n))).collect();
            let boxes: Vec<_> = (0..20).map(|n| frame::Box::pin(aligned(n))).collect();
            for (n, (task, boxed)) in (0..).zip(tasks.into_iter().zip(boxes)) {
                assert_eq!(task.await.expect("it does not panic"), n);
                assert_eq!(boxed.await, n);
            }
        });
    });
    let boxes: Vec<_> = (0..20).map(|n| frame::Box::new(Aligned(n))).collect();
    for (n, boxed) in (0..).zip(&boxes) {
        assert_eq!((boxed.0, address::<Aligned>(boxed) % 4096), (n, 0));
    }
}

#[test]
fn an_empty_value_has_a_frame() {
    struct Empty;
    let boxes: Vec<_> = (0..100).map(|_| frame::Box::new(Empty)).collect();
    let mut addresses: Vec<_> = boxes.iter().map(|boxed| address::<Empty>(boxed)).collect();
    addresses.sort_unstable();
    addresses.dedup();
    assert_eq!(addresses.len(), 100, "each has its own");
    let runtime = Runtime::new().expect("a runtime starts");
    runtime.block_on(async {
        frame::Box::pin(async {}).await;
        tress::spawn(std::future::ready(())).await.expect("it does not panic");
    });
}

#[test]
fn a_box_drops_its_value_once_and_frees_its_frame_if_that_panics() {
    use std::sync::Arc;
    use tress::frame::{Counting, Pool};

    struct Loud {
        _value: Arc<()>,
    }
    impl Drop for Loud {
        fn drop(&mut self) {
            assert!(std::thread::panicking(), "the drop panics, as it is told to");
        }
    }
    let counting = Arc::new(Counting::new(Pool));
    let value = Arc::new(());
    let boxed = frame::with_allocator(counting.clone(), || frame::Box::new(Loud { _value: value.clone() }));
    let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| drop(boxed)));
    assert!(outcome.is_err());
    assert_eq!((counting.live(), Arc::strong_count(&value)), (0, 1));
}
