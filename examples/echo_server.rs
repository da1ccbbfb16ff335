//! A TCP server: one task for each connection, which sends back what it receives. Ctrl-c stops it.
//!
//! ```text
//! cargo run --release --example echo_server -- [HOST:PORT]
//! nc 127.0.0.1 7777
//! ```

use std::fmt::Display;
use std::io::{self, Write};
use std::process::ExitCode;

use tress::net::{TcpListener, TcpStream};

#[tress::main]
async fn main() -> ExitCode {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:7777".to_owned());
    match address.as_str() {
        "-h" | "--help" => {
            say(USAGE);
            return ExitCode::SUCCESS;
        }
        option if option.starts_with('-') => {
            eprintln!("error: there is no option {option}; {USAGE}");
            return ExitCode::FAILURE;
        }
        _ => {}
    }
    let listener = match TcpListener::bind(&address).await {
        Ok(listener) => listener,
        Err(error) => {
            eprintln!("error: cannot listen on {address}: {error}");
            return ExitCode::FAILURE;
        }
    };
    // Before anybody is told that there is something to stop.
    let stop = ctrl_c();
    match listener.local_addr() {
        Ok(address) => say(format_args!("listening on {address}")),
        Err(error) => eprintln!("listening on an address that is not known: {error}"),
    }

    let accepting = tress::spawn(accept_all(listener));
    if let Err(error) = stop.await {
        eprintln!("error: ctrl-c cannot be caught: {error}");
        return ExitCode::FAILURE;
    }
    accepting.abort();
    say("stopped");
    ExitCode::SUCCESS
}

#[cfg(unix)]
use tress::signal::ctrl_c;

/// It ends the process by itself.
#[cfg(not(unix))]
async fn ctrl_c() -> std::io::Result<()> {
    std::future::pending().await
}

/// Prints a line; it is no failure if nobody reads it any more.
fn say(line: impl Display) {
    let _ = writeln!(io::stdout(), "{line}");
}

async fn accept_all(listener: TcpListener) {
    // `accept` waits out what passes; an error that it returns is final.
    while let Ok((stream, peer)) = listener.accept().await {
        tress::spawn(async move {
            if let Err(error) = echo(stream).await {
                eprintln!("{peer}: {error}");
            }
        });
    }
}

async fn echo(stream: TcpStream) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut buf = vec![0; 16 * 1024];
    loop {
        let read = stream.read(&mut buf).await?;
        if read == 0 {
            return Ok(());
        }
        stream.write_all(&buf[..read]).await?;
    }
}

const USAGE: &str = "usage: echo_server [HOST:PORT] (127.0.0.1:7777 if there is none)";
