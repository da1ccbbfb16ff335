//! A pipeline: lines are read, parsed on all cores, and added up in their order by a task on a strand; another task there looks at the same state. The
//! stages are joined by bounded channels, so that no stage runs ahead of the next one.
//!
//! ```text
//! cargo run --release --example pipeline
//! seq -5 100 | cargo run --release --example pipeline -- -
//! ```
//!
//! A line is an amount, which is paid in or, below zero, out. The last line that is printed depends on the order of all others. How far the reader came
//! ahead of the last stage is said on stderr: no further than the channel holds, and one batch more at each of its ends.

use std::io::{self, BufRead, BufReader};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use tress::Handle;
use tress::strand::{Strand, StrandCell};
use tress::sync::mpsc;
use tress::task::{JoinHandle, spawn_blocking};
use tress::time::sleep;

/// The balance, also the lowest that there was, and what went into it.
#[derive(Default)]
struct Ledger {
    entries: u64,
    refused: u64,
    balance: i64,
    lowest: i64,
}

type Parsed = Vec<Option<i64>>;

/// Reads batches of lines, and has each parsed by a task of its own. Their handles are sent in order, before they are done; when the channel is full,
/// this waits. Returns how many batches at most were read and not yet `added`.
fn read(
    lines: impl Iterator<Item = io::Result<String>>,
    handle: &Handle,
    parsed: &mpsc::Sender<JoinHandle<Parsed>>,
    added: &AtomicU64,
) -> io::Result<u64> {
    let (mut lines, mut batches, mut ahead) = (lines.peekable(), 0, 0);
    while lines.peek().is_some() {
        let batch: Vec<String> = lines.by_ref().take(BATCH).collect::<io::Result<_>>()?;
        batches += 1;
        ahead = ahead.max(batches - added.load(Relaxed));
        let parsing =
            handle.spawn(async move { batch.iter().map(|line| line.trim().parse().ok()).collect() });
        parsed.blocking_send(parsing).map_err(io::Error::other)?;
    }
    Ok(ahead)
}

impl Ledger {
    fn add(&mut self, amounts: Parsed) {
        for amount in amounts {
            // Also refused: what would be more than there can be.
            match amount.and_then(|amount| self.balance.checked_add(amount)) {
                Some(balance) => (self.balance, self.entries) = (balance, self.entries + 1),
                None => self.refused += 1,
            }
            self.lowest = self.lowest.min(self.balance);
        }
    }
}

#[tress::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<(), Box<dyn std::error::Error>> {
    let lines: Box<dyn Iterator<Item = io::Result<String>> + Send> = match std::env::args().nth(1).as_deref()
    {
        None => Box::new((0..500_000_i64).map(|number| Ok((number * 7919 % 2003 - 1001).to_string()))),
        Some("-") => Box::new(BufReader::new(io::stdin()).lines()),
        Some(other) => return Err(format!("what is {other}? usage: pipeline [-]").into()),
    };
    let (sender, mut parsed) = mpsc::channel(BATCHES_AHEAD);
    let handle = Handle::current();
    let added = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&added);
    let reading = spawn_blocking(move || read(lines, &handle, &sender, &count));

    let strand = Strand::new(Handle::current());
    let ledger = Arc::new(StrandCell::new(&strand, Ledger::default()));
    let own = Arc::clone(&ledger);
    let adding = strand.spawn(async move {
        while let Some(batch) = parsed.recv().await {
            let amounts = batch.await?;
            // No lock: nobody else is on the strand from here to the next await.
            own.borrow_mut().add(amounts);
            added.fetch_add(1, Relaxed);
        }
        Ok::<_, tress::task::JoinError>(())
    });
    let shown = Arc::clone(&ledger);
    let showing = strand.spawn(async move {
        loop {
            sleep(Duration::from_secs(1)).await;
            shown.with(|ledger| eprintln!("{} entries so far", ledger.entries));
        }
    });
    adding.await??;
    showing.abort();
    eprintln!("the reader was {} batches ahead, at most", reading.await??);
    let line = strand.spawn(async move {
        let Ledger { entries, refused, balance, lowest } = &*ledger.borrow_mut();
        format!("{entries} entries, {refused} refused, balance {balance}, lowest {lowest}")
    });
    println!("{}", line.await?);
    Ok(())
}

const BATCH: usize = 1000;
/// How many the channel holds.
const BATCHES_AHEAD: usize = 8;
