//! A chat server with rooms: state that many tasks share, and no mutex. Each room has a strand, and who is in it lies in a `StrandCell` of that;
//! which rooms there are is known by an `Actor`.
//!
//! ```text
//! cargo run --release --example chat -- [HOST:PORT]
//! nc 127.0.0.1 7778
//! ```
//!
//! `/join ROOM`, `/nick NAME` and `/quit`; other lines go to all others in the room. A client has a queue of a few hundred lines: one who does not read
//! is disconnected when it is full, and his room does not wait for him. Lines that are too long are refused. Ctrl-c, or SIGTERM, says good bye to all,
//! and stops.

mod client;
mod room;
#[path = "../http_server/stop.rs"]
mod stop;

use std::process::ExitCode;
use std::time::Duration;

use tress::env;
use tress::future::{FutureExt, select};
use tress::net::TcpListener;
use tress::task::CountingScope;
use tress::time::timeout;

use room::Directory;
use stop::say;

#[tress::main]
async fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let address = arguments.next().unwrap_or_else(|| "127.0.0.1:7778".to_owned());
    let result = match (address.as_str(), arguments.next()) {
        ("-h" | "--help", None) => {
            say(USAGE);
            Ok(())
        }
        (option, None) if option.starts_with('-') => Err(format!("there is no option {option}; {USAGE}")),
        (_, None) => serve(&address).await,
        (_, Some(more)) => Err(format!("{more} is one argument too many; {USAGE}")),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("error: {message}");
            ExitCode::FAILURE
        }
    }
}

async fn serve(address: &str) -> Result<(), String> {
    let cannot_listen = |error| format!("cannot listen on {address}: {error}");
    let listener = TcpListener::bind(address).await.map_err(cannot_listen)?;
    // Before anybody is told that there is something to stop.
    let stop = stop::wanted();
    say(format_args!("listening on {}", listener.local_addr().map_err(cannot_listen)?));

    let clients = CountingScope::new();
    let accepting = tress::spawn(accept_all(listener, clients.clone()));
    let abort = accepting.abort_handle();
    let failed = accepting.map(|failed| Err(format!("the server failed: {failed:?}")));
    let ended = select(stop.map(|_| Ok(())), failed).await.factor_first().0;
    abort.abort();
    clients.request_stop();
    // Each of them is waited for by its own task, for a shorter time.
    let _ = timeout(STOP_TIMEOUT, clients.join()).await;
    say("stopped");
    ended
}

async fn accept_all(listener: TcpListener, clients: CountingScope) -> std::io::Error {
    let directory = Directory::new();
    let mut number = 0;
    loop {
        // `accept` waits out what passes; an error that it returns is final.
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => return error,
        };
        // It does no harm if it cannot be set.
        let _ = stream.set_nodelay(true);
        number += 1;
        // What a client waits for is not cut off when the server stops: he is told.
        clients.spawn(env::shield(client::serve(stream, number, directory.clone(), clients.token())));
    }
}

const USAGE: &str = "usage: chat [HOST:PORT] (127.0.0.1:7778 if there is none)";
const STOP_TIMEOUT: Duration = Duration::from_secs(5);
