//! An HTTP server: pages, streamed bodies, files of a directory, live numbers of the runtime, graceful shutdown.
//!
//! ```text
//! cargo run --release --example http_server -- [--addr 127.0.0.1:8080] [--workers N] [--dir DIRECTORY]
//! ```
//!
//! Then open <http://127.0.0.1:8080/>. Other paths: `/plaintext`, `/json`, `/echo` (POST or PUT), `/stats.json`, `/tasks` and
//! `/tasks.json` (what every task waits for), and `/files/…` if a directory is given. Ctrl-c finishes the requests in flight and stops.

mod files;
mod options;
mod page;
mod routes;

use std::future::pending;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use tress::http::{self, service_fn};
use tress::net::TcpListener;
use tress::{Builder, signal};

use options::{Options, Parsed};
use routes::Site;

fn main() -> ExitCode {
    let result = match options::parse() {
        Ok(Parsed::Help) => {
            println!("{}", options::USAGE);
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
    println!("listening on http://{}", listener.local_addr().map_err(cannot_listen)?);

    let site = Arc::new(Site::new(options.directory));
    let service = {
        let site = Arc::clone(&site);
        service_fn(move |request| Arc::clone(&site).answer(request))
    };
    http::serve(listener, service)
        .with_graceful_shutdown(ctrl_c())
        .shutdown_timeout(SHUTDOWN_TIMEOUT)
        .await
        .map_err(|error| format!("the server failed: {error}"))?;
    println!("stopped after {} requests", site.requests());
    Ok(())
}

async fn ctrl_c() {
    if let Err(error) = signal::ctrl_c().await {
        eprintln!("ctrl-c cannot be caught, so it will not finish what is in flight: {error}");
        pending::<()>().await;
    }
    println!("ctrl-c: finishing what is in flight, for at most {} s", SHUTDOWN_TIMEOUT.as_secs());
}

const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(10);
