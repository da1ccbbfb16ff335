//! A TCP server: one task for each connection, which sends back what it receives. Ctrl-c stops it.
//!
//! ```text
//! cargo run --release --example echo_server [ADDRESS]
//! nc 127.0.0.1 7777
//! ```

use std::process::ExitCode;

use tress::net::{TcpListener, TcpStream};

#[tress::main]
async fn main() -> ExitCode {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:7777".to_owned());
    let listener = match TcpListener::bind(&address).await {
        Ok(listener) => listener,
        Err(error) => {
            eprintln!("error: cannot listen on {address}: {error}");
            return ExitCode::FAILURE;
        }
    };
    match listener.local_addr() {
        Ok(address) => println!("listening on {address}"),
        Err(error) => eprintln!("listening on an address that is not known: {error}"),
    }

    let accepting = tress::spawn(accept_all(listener));
    if let Err(error) = tress::signal::ctrl_c().await {
        eprintln!("error: ctrl-c cannot be caught: {error}");
        return ExitCode::FAILURE;
    }
    accepting.abort();
    println!("stopped");
    ExitCode::SUCCESS
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
