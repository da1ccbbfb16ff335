//! A key-value server that speaks RESP, the protocol of Redis. The keys are in shards, each of which is an `Actor`: its callers take turns without a
//! lock.
//!
//! ```text
//! cargo run --release --example kv -- [--addr 127.0.0.1:6380] [--workers N]
//! redis-cli -p 6380
//! redis-benchmark -p 6380 -t get,set,incr -P 16
//! ```
//!
//! Commands: GET, SET (EX, PX, NX, XX), DEL, EXISTS, INCR, DECR, EXPIRE, TTL, DBSIZE, FLUSHALL, FLUSHDB, PING, ECHO, QUIT, and what clients ask when they
//! connect. A command of several keys is no transaction: they may be in several shards. Nothing is evicted, and nothing is written to disk.
//!
//! `resp.rs` is the protocol, `command.rs` what requests mean, and `session.rs` a connection's conversation; none of them knows of sockets. `shard.rs` has
//! the keys, and `server.rs` the connections. Ctrl-c, or SIGTERM, answers what has been received, and stops.

mod command;
mod keyspace;
mod resp;
mod server;
mod session;
mod shard;
#[path = "../http_server/stop.rs"]
mod stop;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use lexopt::prelude::*;
use tress::Builder;
use tress::future::{FutureExt, select};
use tress::net::TcpListener;
use tress::task::{AbortHandle, CountingScope};
use tress::time::timeout;

use stop::say;

struct Options {
    address: String,
    workers: Option<usize>,
}

fn main() -> ExitCode {
    let result = match parse() {
        Ok(None) => {
            say(USAGE);
            Ok(())
        }
        Ok(Some(options)) => run(&options),
        Err(error) => Err(format!("{error}; {USAGE}").replace('\n', " ")),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("error: {message}");
            ExitCode::FAILURE
        }
    }
}

/// Reads the arguments; `None` if help is wanted.
fn parse() -> Result<Option<Options>, lexopt::Error> {
    let mut options = Options { address: "127.0.0.1:6380".to_owned(), workers: None };
    let mut arguments = lexopt::Parser::from_env();
    while let Some(argument) = arguments.next()? {
        match argument {
            Long("addr") => options.address = arguments.value()?.string()?,
            Long("workers") => {
                let workers = arguments.value()?.parse_with(|value| match value.parse() {
                    Ok(workers @ 1..=MOST_WORKERS) => Ok(workers),
                    _ => Err(format!("--workers is a number from 1 to {MOST_WORKERS}")),
                });
                options.workers = Some(workers?);
            }
            Short('h') | Long("help") => return Ok(None),
            other => return Err(other.unexpected()),
        }
    }
    Ok(Some(options))
}

fn run(options: &Options) -> Result<(), String> {
    let mut builder = Builder::new();
    if let Some(workers) = options.workers {
        builder = builder.worker_threads(workers);
    }
    let runtime = builder.build().map_err(|error| format!("the runtime does not start: {error}"))?;
    runtime.block_on(serve(&options.address))
}

async fn serve(address: &str) -> Result<(), String> {
    let cannot_listen = |error| format!("cannot listen on {address}: {error}");
    let listener = TcpListener::bind(address).await.map_err(cannot_listen)?;
    // Before anybody is told that there is something to stop.
    let stop = stop::wanted();
    say(format_args!("listening on {}", listener.local_addr().map_err(cannot_listen)?));

    let (shards, connections) = (server::shards(), CountingScope::new());
    let sweeping = tress::spawn(server::sweep(Arc::clone(&shards)));
    let accepting = tress::spawn(server::accept_all(listener, shards, connections.clone()));
    let abort = [accepting.abort_handle(), sweeping.abort_handle()];
    let failed = accepting.map(|failed| Err(format!("the server failed: {failed:?}")));
    let ended = select(stop.map(|_| Ok(())), failed).await.factor_first().0;
    abort.iter().for_each(AbortHandle::abort);
    connections.request_stop();
    // A client that does not read holds up nobody for long.
    let is_late = timeout(STOP_TIMEOUT, connections.join()).await.is_err();
    say(if is_late { "stopped, and some clients have not read their replies" } else { "stopped" });
    ended
}

const USAGE: &str = "usage: kv [--addr HOST:PORT] [--workers N]";
const MOST_WORKERS: usize = 1024;
const STOP_TIMEOUT: Duration = Duration::from_secs(3);
