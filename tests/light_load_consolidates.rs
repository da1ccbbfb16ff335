//! Accepted sockets stay with the worker that accepts while it has time, and are dealt out once it has none.

mod support;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream as StdStream};
use std::thread;
use std::time::{Duration, Instant};

use support::{burn, runtime, watchdog};
use tress::Runtime;
use tress::net::{TcpListener, TcpStream};
use tress::task::yield_now;

const CLIENTS: usize = 32;
const ATTEMPTS: usize = 5;

/// What a server does with each request.
#[derive(Clone, Copy)]
enum Work {
    Nothing,
    /// Computes for a while, then lets others run.
    Short,
    /// Computes for so long that the worker hardly ever comes to look around.
    Long,
}

async fn answer(stream: TcpStream, work: Work) {
    let mut buf = [0; 64];
    while let Ok(read @ 1..) = stream.read(&mut buf).await {
        match work {
            Work::Nothing => {}
            Work::Short => {
                burn(Duration::from_micros(200));
                yield_now().await;
            }
            Work::Long => {
                burn(Duration::from_millis(20));
                yield_now().await;
            }
        }
        if stream.write_all(&buf[..read]).await.is_err() {
            return;
        }
    }
}

fn serve(runtime: &Runtime, work: Work) -> SocketAddr {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    runtime.spawn(async move {
        let listener = TcpListener::from_std(listener).unwrap();
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            stream.set_nodelay(true).unwrap();
            tress::spawn(answer(stream, work));
        }
    });
    address
}

fn connect(address: SocketAddr) -> StdStream {
    let stream = StdStream::connect(address).unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

fn ask(stream: &mut StdStream) {
    stream.write_all(&[7; 64]).unwrap();
    stream.read_exact(&mut [0; 64]).unwrap();
}

/// How many sockets each worker has, the most first.
fn sockets(runtime: &Runtime) -> Vec<usize> {
    let mut sockets: Vec<_> =
        runtime.handle().metrics().workers().iter().map(|worker| worker.sockets).collect();
    sockets.sort_by(|one, other| other.cmp(one));
    sockets
}

/// Clients that come one by one, each with a request now and then.
fn under_light_load() -> Vec<usize> {
    let runtime = runtime(4);
    let address = serve(&runtime, Work::Nothing);
    let mut clients: Vec<StdStream> = Vec::new();
    for _ in 0..CLIENTS {
        clients.push(connect(address));
        for client in &mut clients {
            ask(client);
        }
        thread::sleep(Duration::from_millis(1));
    }
    sockets(&runtime)
}

/// Clients that come while the requests of the others keep every worker computing.
fn under_heavy_load(work: Work) -> Vec<usize> {
    let runtime = runtime(2);
    let address = serve(&runtime, work);
    let mut clients = Vec::new();
    for _ in 0..CLIENTS {
        let mut client = connect(address);
        client.write_all(&[7; 64 * 500]).unwrap();
        clients.push(client);
        thread::sleep(Duration::from_millis(10));
    }
    let begun = Instant::now();
    while sockets(&runtime).iter().sum::<usize>() <= CLIENTS && begun.elapsed() < Duration::from_secs(5) {
        thread::sleep(Duration::from_millis(5));
    }
    sockets(&runtime)
}

/// Tries a few times, as a machine that is busy with other things leaves workers idle that should not be.
fn sometimes(what: &str, measure: impl Fn() -> Vec<usize>, is_fine: impl Fn(&[usize]) -> bool) {
    let _watchdog = watchdog();
    let mut sockets = Vec::new();
    for _ in 0..ATTEMPTS {
        sockets = measure();
        println!("sockets of each worker under {what}: {sockets:?}");
        if is_fine(&sockets) {
            return;
        }
    }
    panic!("in none of {ATTEMPTS} attempts; sockets of each worker under {what} in the last: {sockets:?}");
}

#[test]
fn on_one_worker() {
    sometimes("light load", under_light_load, |sockets| {
        sockets[0] * 10 >= sockets.iter().sum::<usize>() * 9 && sockets[0] >= CLIENTS
    });
}

#[test]
fn and_heavy_load_spreads() {
    sometimes("heavy load", || under_heavy_load(Work::Short), |sockets| sockets[1] * 3 >= sockets[0]);
}

#[test]
fn and_heavy_load_in_long_polls_spreads() {
    sometimes("long polls", || under_heavy_load(Work::Long), |sockets| sockets[1] * 3 >= sockets[0]);
}
