//! `examples/kv` on tokio and `DashMap`: the protocol, the commands and the conversation are the same files, so that only runtime and state differ.
//! `benches/kv.sh` compares them.
//!
//! ```text
//! cargo run --release -p tress-bench --bin kv_tokio -- [--addr 127.0.0.1:6380] [--workers N]
//! ```

#[path = "../../../examples/kv/command.rs"]
mod command;
#[path = "../../../examples/kv/keyspace.rs"]
mod keyspace;
#[path = "../../../examples/kv/resp.rs"]
mod resp;
#[path = "../../../examples/kv/session.rs"]
mod session;

use std::error::Error;
use std::io;
use std::mem;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use dashmap::DashMap;
use lexopt::prelude::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Builder;
use tokio::time::{interval, timeout};

use keyspace::{Entry, Keyspace};
use session::{Next, Session};

/// All keys. Its shards have a lock each, which is taken for a command.
#[derive(Clone, Default)]
struct Map(Arc<Shared>);

#[derive(Default)]
struct Shared {
    entries: DashMap<Box<[u8]>, Entry>,
    /// Whether there may be something to sweep. Written with each deadline, and before a sweep; publishes nothing.
    has_deadlines: AtomicBool,
}

impl Map {
    fn change<R>(&self, entry: &mut Entry, now: Instant, f: impl FnOnce(&mut Option<Entry>) -> R) -> R {
        let mut changed = entry.lives(now).then(|| mem::take(entry));
        let result = f(&mut changed);
        if let Some(changed) = changed {
            self.note(&changed);
            *entry = changed;
        }
        result
    }

    fn note(&self, entry: &Entry) {
        if entry.deadline.is_some() {
            self.0.has_deadlines.store(true, Ordering::Relaxed);
        }
    }
}

impl Keyspace for Map {
    fn read<R>(&mut self, key: &[u8], now: Instant, f: impl FnOnce(Option<&Entry>) -> R) -> R {
        let entry = self.0.entries.get(key);
        f(entry.as_deref().filter(|entry| entry.lives(now)))
    }

    fn update<R>(&mut self, key: &[u8], now: Instant, f: impl FnOnce(&mut Option<Entry>) -> R) -> R {
        // Without an owned key, unless there has to be one.
        if let Some(mut entry) = self.0.entries.get_mut(key) {
            return self.change(&mut entry, now, f);
        }
        match self.0.entries.entry(key.into()) {
            dashmap::Entry::Occupied(mut entry) => self.change(entry.get_mut(), now, f),
            dashmap::Entry::Vacant(place) => {
                let mut new = None;
                let result = f(&mut new);
                if let Some(new) = new {
                    self.note(&new);
                    place.insert(new);
                }
                result
            }
        }
    }

    fn remove(&mut self, key: &[u8], now: Instant) -> bool {
        self.0.entries.remove(key).is_some_and(|(_, entry)| entry.lives(now))
    }

    fn len(&self) -> usize {
        self.0.entries.len()
    }

    fn clear(&mut self) {
        self.0.entries.clear();
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let (mut address, mut builder) = ("127.0.0.1:6380".to_owned(), Builder::new_multi_thread());
    let mut arguments = lexopt::Parser::from_env();
    while let Some(argument) = arguments.next()? {
        match argument {
            Long("addr") => address = arguments.value()?.string()?,
            Long("workers") => {
                builder.worker_threads(arguments.value()?.parse()?);
            }
            other => return Err(other.unexpected().into()),
        }
    }
    let runtime = builder.enable_all().build()?;
    // The thread in `block_on` is no worker: what there is to do is done by tasks.
    Ok(runtime.block_on(async { tokio::spawn(listen(address)).await })??)
}

async fn listen(address: String) -> io::Result<()> {
    let listener = TcpListener::bind(address).await?;
    println!("listening on {}", listener.local_addr()?);
    let map = Map::default();
    tokio::spawn(sweep(map.clone()));
    loop {
        let (stream, _) = listener.accept().await?;
        // A client that has gone is none of the others' business.
        tokio::spawn(serve(stream, map.clone()));
    }
}

async fn sweep(map: Map) {
    let mut ticks = interval(SWEEP_PERIOD);
    loop {
        ticks.tick().await;
        if map.0.has_deadlines.swap(false, Ordering::Relaxed) {
            let now = Instant::now();
            map.0.entries.retain(|_, entry| {
                map.note(entry);
                entry.lives(now)
            });
        }
    }
}

async fn serve(mut stream: TcpStream, mut map: Map) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut session = Session::new(Instant::now());
    loop {
        match session.next() {
            Next::Read => match stream.read(session.space()).await? {
                0 => return Ok(()),
                len => session.received(len, Instant::now()),
            },
            Next::Key(_) | Next::Everywhere => session.run(&mut map),
            Next::Write => {
                stream.write_all(session.output()).await?;
                session.sent();
            }
            Next::Close => {
                stream.shutdown().await?;
                let draining = async {
                    let mut bytes = vec![0; 4096];
                    while stream.read(&mut bytes).await? > 0 {}
                    Ok(())
                };
                return timeout(CLOSE_TIMEOUT, draining).await.unwrap_or(Ok(()));
            }
        }
    }
}

const SWEEP_PERIOD: Duration = Duration::from_millis(100);
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);
