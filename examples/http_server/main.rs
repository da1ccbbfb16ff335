//! An HTTP server: pages, streamed bodies, files of a directory, live numbers of the runtime, graceful shutdown.
//!
//! ```text
//! cargo run --release --example http_server -- [--addr 127.0.0.1:8080] [--workers N] [--dir DIRECTORY]
//! ```
//!
//! Then open <http://127.0.0.1:8080/>. Other paths: `/plaintext`, `/json`, `/echo` (POST or PUT), `/stats.json`, `/tasks` and
//! `/tasks.json` (what every task waits for), and `/files/PATH` if a directory is given. Ctrl-c, or SIGTERM, finishes the requests
//! in flight, for ten seconds at most, and stops; a second one stops at once.

mod files;
mod options;
mod page;
mod routes;
mod stop;

use std::pin::pin;
use std::process::ExitCode;
use std::sync::Arc;

use tress::Builder;
use tress::future::FutureExt;
use tress::http::{self, service_fn};
use tress::net::TcpListener;

use options::{Options, Parsed, SHUTDOWN_TIMEOUT};
use routes::Site;
use stop::say;

fn main() -> ExitCode {
    let result = match options::parse() {
        Ok(Parsed::Help) => {
            say(options::help());
            Ok(())
        }
        Ok(Parsed::Run(options)) => run(options),
        Err(message) => Err(message),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("error: {message}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: Options) -> Result<(), String> {
    let mut builder = Builder::new();
    if let Some(workers) = options.workers {
        builder = builder.worker_threads(workers);
    }
    let runtime = builder.build().map_err(|error| format!("the runtime does not start: {error}"))?;
    runtime.block_on(serve(options))
}

async fn serve(options: Options) -> Result<(), String> {
    let address = &options.address;
    let cannot_listen = |error| format!("cannot listen on {address}: {error}");
    let listener = TcpListener::bind(address).await.map_err(cannot_listen)?;
    // Before anybody is told that there is something to stop.
    let stop = stop::wanted().map(|name| {
        let seconds = SHUTDOWN_TIMEOUT.as_secs();
        say(format_args!("{name}: finishing what is in flight, for at most {seconds} s"));
    });
    let mut stop_at_once = pin!(stop::wanted().then(|_| stop::wanted()).fuse());
    say(format_args!("listening on http://{}", listener.local_addr().map_err(cannot_listen)?));

    let site = Arc::new(Site::new(options.directory));
    let service = {
        let site = Arc::clone(&site);
        service_fn(move |request| Arc::clone(&site).answer(request))
    };
    let server =
        http::serve(listener, service).with_graceful_shutdown(stop).shutdown_timeout(SHUTDOWN_TIMEOUT);
    let mut serving = pin!(server.into_future().fuse());
    tress::select! {
        result = serving => result.map_err(|error| format!("the server failed: {error}"))?,
        name = stop_at_once => return Err(format!("{name} again: what was in flight is cut off")),
    }
    say(match site.requests() {
        1 => "stopped after 1 request".to_owned(),
        requests => format!("stopped after {requests} requests"),
    });
    Ok(())
}
