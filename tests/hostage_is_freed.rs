//! A worker that computes for a second holds up nobody while another is idle: its timers, its sockets, the tasks in its
//! queue and next-task slot, and tasks that are woken from elsewhere all go on within milliseconds.
#![cfg(target_os = "linux")]

mod support;

use std::future::poll_fn;
use std::io::{Read, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};
use std::thread;
use std::time::{Duration, Instant};

use support::{burn, runtime, watchdog};
use tress::net::{TcpListener, TcpStream};
use tress::task::yield_now;

/// For how long the culprit computes.
const BURN: Duration = Duration::from_secs(1);

/// How often everybody else wants something.
const PERIOD: Duration = Duration::from_millis(5);

/// The 99th percentile that is promised, beyond what the system takes to schedule a thread.
const PROMISED: Duration = Duration::from_millis(5);

/// A machine that is busy with other things gets so many attempts.
const ATTEMPTS: usize = 5;

/// How late everybody was.
#[derive(Clone, Default)]
struct Delays(Arc<Mutex<Vec<Duration>>>);

impl Delays {
    fn add_since(&self, due: Instant) {
        self.0.lock().unwrap().push(due.elapsed());
    }

    fn p99(&self) -> Duration {
        let mut delays = self.0.lock().unwrap();
        delays.sort();
        delays[(delays.len() - 1) * 99 / 100]
    }
}

/// What one run has measured.
#[derive(Default)]
struct Measured {
    timers: Delays,
    sockets: Delays,
    woken: Delays,
    queued: Delays,
    /// Plain threads that sleep: what the system itself takes.
    control: Delays,
}

/// An event that a foreign thread raises for a task.
#[derive(Default)]
struct Event {
    raised: Mutex<Option<Instant>>,
    waiter: Mutex<Option<Waker>>,
}

/// Calls `f` once in a period, with the time at which it was due.
fn every_period(done: &AtomicBool, mut f: impl FnMut(Instant)) {
    let mut due = Instant::now();
    while !done.load(Ordering::Relaxed) {
        due += PERIOD;
        thread::sleep(due.saturating_duration_since(Instant::now()));
        f(due);
        // Whoever is late has missed some: what is measured is how late.
        due = due.max(Instant::now() - PERIOD);
    }
}

async fn echo(stream: TcpStream) {
    let mut buf = [0; 64];
    while let Ok(read @ 1..) = stream.read(&mut buf).await {
        if stream.write_all(&buf[..read]).await.is_err() {
            return;
        }
    }
}

/// Spawns what belongs to the culprit's worker, and then computes.
async fn culprit(measured: Arc<Measured>, listener: TcpListener, event: Arc<Event>, done: Arc<AtomicBool>) {
    let burning = Arc::clone(&done);
    tress::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tress::spawn(echo(stream));
        }
    });
    for _ in 0..16 {
        let (timers, done) = (measured.timers.clone(), Arc::clone(&done));
        tress::spawn(async move {
            while !done.load(Ordering::Relaxed) {
                let due = Instant::now() + PERIOD;
                tress::time::sleep_until(due).await;
                timers.add_since(due);
            }
        });
    }
    let woken = measured.woken.clone();
    tress::spawn(poll_fn(move |cx| {
        *event.waiter.lock().unwrap() = Some(cx.waker().clone());
        if let Some(due) = event.raised.lock().unwrap().take() {
            woken.add_since(due);
        }
        Poll::<()>::Pending
    }));
    // Everybody registers, and clients connect.
    for _ in 0..20 {
        yield_now().await;
        tress::time::sleep(Duration::from_millis(2)).await;
    }
    for _ in 0..10 {
        let (queued, due) = (measured.queued.clone(), Instant::now());
        tress::spawn(async move { queued.add_since(due) });
    }
    burn(BURN);
    burning.store(true, Ordering::Relaxed);
}

fn measure() -> Arc<Measured> {
    let runtime = runtime(2);
    let (measured, event, done) = (Arc::<Measured>::default(), Arc::<Event>::default(), Arc::default());
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let running = {
        let (measured, event, done) = (Arc::clone(&measured), Arc::clone(&event), Arc::clone(&done));
        runtime.spawn(async move {
            let listener = TcpListener::bind(address).await.expect("the port was free a moment ago");
            culprit(measured, listener, event, done).await;
        })
    };
    thread::scope(|scope| {
        let (measured, done) = (&measured, &done);
        let running = &running;
        scope.spawn(move || {
            // If the culprit fails, everybody stops.
            while !running.is_finished() {
                thread::sleep(PERIOD);
            }
            done.store(true, Ordering::Relaxed);
        });
        scope.spawn(|| every_period(done, |due| measured.control.add_since(due)));
        scope.spawn(move || {
            every_period(done, |due| {
                *event.raised.lock().unwrap() = Some(due.max(Instant::now()));
                let waiter = event.waiter.lock().unwrap().take();
                if let Some(waiter) = waiter {
                    waiter.wake();
                }
            });
        });
        for _ in 0..4 {
            scope.spawn(move || {
                let mut stream = loop {
                    match std::net::TcpStream::connect(address) {
                        Ok(stream) => break stream,
                        Err(_) => thread::sleep(Duration::from_millis(1)),
                    }
                };
                stream.set_nodelay(true).unwrap();
                every_period(done, |_| {
                    let sent = Instant::now();
                    stream.write_all(&[7; 64]).unwrap();
                    stream.read_exact(&mut [0; 64]).unwrap();
                    measured.sockets.add_since(sent);
                });
            });
        }
    });
    drop(runtime);
    measured
}

#[test]
fn by_an_idle_worker() {
    let _watchdog = watchdog();
    let mut report = String::new();
    for _ in 0..ATTEMPTS {
        let measured = measure();
        let control = measured.control.p99();
        let parts = [
            ("timers", &measured.timers),
            ("sockets", &measured.sockets),
            ("woken tasks", &measured.woken),
            ("queued tasks", &measured.queued),
        ];
        let held_up = parts.iter().any(|(_, delays)| delays.p99() > PROMISED + control);
        report = format!("the system's own delay: {control:?}");
        for (name, delays) in parts {
            let samples = delays.0.lock().unwrap().len();
            report += &format!("; {name}: {:?} ({samples})", delays.p99());
        }
        println!("{report}");
        if !held_up {
            return;
        }
    }
    panic!("somebody was held up in each of {ATTEMPTS} attempts; the last: {report}");
}
