//! Connections, and the shards that they call.

use std::io;
use std::net::Shutdown;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tress::env;
use tress::future::{FutureExt, select};
use tress::net::{TcpListener, TcpStream};
use tress::stop::StopToken;
use tress::strand::Actor;
use tress::task::CountingScope;
use tress::time::{interval, timeout};

use crate::session::{Next, Session};
use crate::shard::Shard;

/// Each is called by whoever has something for it; nobody waits for a lock.
pub(crate) type Shards = Arc<[Actor<Shard>]>;

/// More than there are workers, so that two of them seldom want the same one.
pub(crate) fn shards() -> Shards {
    (0..SHARDS).map(|_| Actor::new(Shard::default())).collect()
}

/// Gives back the memory of keys that have expired and that nobody asks for.
pub(crate) async fn sweep(shards: Shards) {
    let mut ticks = interval(SWEEP_PERIOD);
    loop {
        let now = ticks.tick().await;
        for shard in &*shards {
            // A few at a time: in between, others have their turn.
            while shard.call(move |shard| shard.sweep(now, SWEPT_AT_ONCE)).await == Ok(true) {}
        }
    }
}

/// A task for each connection, until it is to stop.
pub(crate) async fn accept_all(
    listener: TcpListener,
    shards: Shards,
    connections: CountingScope,
) -> io::Error {
    loop {
        // `accept` waits out what passes; an error that it returns is final.
        match listener.accept().await {
            Ok((stream, _)) => {
                let serving = serve(stream, Arc::clone(&shards), connections.token());
                // What is being answered when the server stops is answered first: `serve` itself looks at the token.
                connections.spawn(env::shield(serving.map(|_ended_by_client| ())));
            }
            Err(error) => return error,
        }
    }
}

async fn serve(stream: TcpStream, shards: Shards, stop: StopToken) -> io::Result<()> {
    stream.set_nodelay(true)?;
    // As if the client had gone.
    let mut stopping = pin!(stop.stop_requested().map(|()| Ok(0)));
    let mut session = Box::new(Session::new(Instant::now()));
    let mut next = Next::Read;
    loop {
        next = match next {
            Next::Read => {
                let read = {
                    let reading = pin!(stream.read(session.space()));
                    select(stopping.as_mut(), reading).await.factor_first().0?
                };
                if read == 0 {
                    return Ok(());
                }
                session.received(read, Instant::now());
                session.next()
            }
            Next::Key(hash) => {
                let place = shard_of(hash);
                // The session travels to the shard: nothing is copied, and what comes next for the same shard is done there, too.
                let visit = shards[place].call(move |shard| {
                    loop {
                        session.run(shard);
                        match session.next() {
                            Next::Key(hash) if shard_of(hash) == place => {}
                            next => return (session, next),
                        }
                    }
                });
                let next;
                (session, next) = visit.await.map_err(io::Error::other)?;
                next
            }
            Next::Everywhere => {
                for shard in &*shards {
                    let visit = shard.call(move |shard| {
                        session.run(shard);
                        session
                    });
                    session = visit.await.map_err(io::Error::other)?;
                }
                session.next()
            }
            Next::Write => {
                stream.write_all(session.output()).await?;
                session.sent();
                session.next()
            }
            Next::Close => return close(&stream).await,
        };
    }
}

/// Ends a connection so that the client gets what was sent last: with bytes of his unread, the system would take that back.
async fn close(stream: &TcpStream) -> io::Result<()> {
    stream.shutdown(Shutdown::Write)?;
    let draining = async {
        let mut bytes = vec![0; 4096];
        while stream.read(&mut bytes).await? > 0 {}
        Ok(())
    };
    timeout(CLOSE_TIMEOUT, draining).await.unwrap_or(Ok(()))
}

fn shard_of(hash: u64) -> usize {
    usize::try_from(hash % SHARDS as u64).expect("there are few shards")
}

const SHARDS: usize = 64;
const SWEEP_PERIOD: Duration = Duration::from_millis(100);
const SWEPT_AT_ONCE: usize = 128;
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);
