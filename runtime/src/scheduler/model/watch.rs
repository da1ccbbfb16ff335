//! A holder of the watch that retires × a worker that starts to run.

use loom::thread;

use super::super::idle::Left;
use super::{OnThread, pool};
use crate::primitive::explore::explore;

/// One of the two sees the other: it must not be that a worker runs, another sleeps, and nobody keeps watch.
#[test]
fn who_starts_to_run_is_watched() {
    explore(6, || {
        let (pool, mut locals) = pool(2);
        let (holder, runner) = (locals.pop().unwrap(), locals.pop().unwrap());
        pool.idle.announce(runner.index, false);
        holder.hold_quiet_watch();
        let holder = OnThread(holder);
        let retiring = thread::spawn(move || {
            let OnThread(holder) = { holder };
            holder.pool.idle.announce(holder.index, false);
            let watches = holder.keeps_watch();
            // Asleep now, for a nap or for good; if it has been claimed, it is woken.
            (watches, holder)
        });
        assert_eq!(pool.idle.leave(runner.index), Left::Alone);
        pool.ensure_sentinel();
        // From here on it runs for ever.
        let (watches, holder) = retiring.join().unwrap();
        let claimed = pool.idle.leave(holder.index) == Left::Claimed;
        assert!(watches || claimed, "nobody keeps watch");
        drop((runner, holder));
    });
}
