//! Errors are values of the types that their functions say: `?` converts them on every way out, and none is lost or mistaken.

mod support;

use std::fmt;
use std::future::{Future, ready};
use std::net::{AddrParseError, Ipv4Addr};
use std::num::{ParseIntError, TryFromIntError};

use support::{Pend, runtime, watchdog, without_panic_messages};
use tress::Handle;
use tress::algorithm::{join_all, when_all, when_all_of, when_any};
use tress::executor::{Inline, Manual, Prioritized, launch, run_on};
use tress::stop::{self, StopSource};
use tress::task::{JoinError, Lazy, lazy, scope, yield_now};

/// What everything here may fail with.
#[derive(Debug)]
enum Failed {
    Number(ParseIntError),
    Numbers(Vec<ParseIntError>),
    Range(TryFromIntError),
    Address(AddrParseError),
    Join(JoinError),
    Stopped,
}

impl From<ParseIntError> for Failed {
    fn from(error: ParseIntError) -> Self {
        Self::Number(error)
    }
}

/// Of a race that all have lost.
impl From<Vec<ParseIntError>> for Failed {
    fn from(errors: Vec<ParseIntError>) -> Self {
        Self::Numbers(errors)
    }
}

impl From<TryFromIntError> for Failed {
    fn from(error: TryFromIntError) -> Self {
        Self::Range(error)
    }
}

impl From<AddrParseError> for Failed {
    fn from(error: AddrParseError) -> Self {
        Self::Address(error)
    }
}

impl From<JoinError> for Failed {
    fn from(error: JoinError) -> Self {
        Self::Join(error)
    }
}

/// The type, and what an error of that type says.
impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(error) => write!(f, "number: {error}"),
            Self::Numbers(errors) => write!(f, "{} numbers: {}", errors.len(), errors[0]),
            Self::Range(error) => write!(f, "range: {error}"),
            Self::Address(error) => write!(f, "address: {error}"),
            Self::Join(error) if error.is_panic() => f.write_str("panic"),
            Self::Join(error) if error.is_stopped() => f.write_str("stop"),
            Self::Join(error) if error.is_aborted() => f.write_str("abort"),
            Self::Join(error) if error.is_refused() => f.write_str("refusal"),
            Self::Join(error) => write!(f, "another end of a task: {error}"),
            Self::Stopped => f.write_str("stopped here"),
        }
    }
}

/// The number, after a wait; an error of one type.
async fn number(text: &str) -> Result<i64, ParseIntError> {
    Pend(1).await;
    text.parse()
}

/// The same; an error of another type.
async fn port(number: i64) -> Result<u16, TryFromIntError> {
    yield_now().await;
    u16::try_from(number)
}

/// The same port, unless there is no address for it; an error of a third type.
async fn bound(port: u16) -> Result<u16, AddrParseError> {
    let host = if port == 0 { "nowhere" } else { "127.0.0.1" };
    let _host: Ipv4Addr = host.parse()?;
    Ok(port)
}

/// Errors of all these types in one function.
async fn named(text: &str) -> Result<u16, Failed> {
    let port = port(number(text).await?).await?;
    Ok(bound(port).await?)
}

const NO_NUMBER: &str = "number: invalid digit found in string";
const NO_PORT: &str = "range: out of range integral type conversion attempted";

/// What comes of each of these, for functions that give the port.
const CASES: [(&str, Result<u16, &str>); 5] = [
    ("80", Ok(80)),
    ("eighty", Err(NO_NUMBER)),
    ("-1", Err(NO_PORT)),
    ("65536", Err(NO_PORT)),
    ("0", Err("address: invalid IPv4 address syntax")),
];

fn shown<T>(result: Result<T, Failed>) -> Result<T, String> {
    result.map_err(|error| error.to_string())
}

/// Runs what `make` makes in a task of a runtime for each case.
#[track_caller]
fn each_case<F>(make: impl Fn(&'static str, Handle) -> F)
where
    F: Future<Output = Result<u16, Failed>> + Send + 'static,
{
    let _watchdog = watchdog();
    let runtime = runtime(2);
    for (text, expected) in CASES {
        let result = runtime.block_on(runtime.spawn(make(text, runtime.handle().clone()))).unwrap();
        assert_eq!(shown(result), expected.map_err(str::to_owned), "{text}");
    }
}

#[test]
fn through_async_functions() {
    each_case(|text, _| named(text));
    // An error that is of the common type by then.
    each_case(|text, _| async move {
        let port = named(text).await?;
        Ok(port)
    });
}

#[test]
fn through_lazies() {
    fn below(text: &'static str, depth: usize) -> Lazy<'static, Result<u16, Failed>> {
        lazy(async move {
            if depth > 0 {
                let port = below(text, depth - 1).await?;
                return Ok(port);
            }
            let number = lazy(number(text)).await?;
            let port = lazy(port(number)).await?;
            Ok(lazy(bound(port)).await?)
        })
    }
    for depth in [0, 1, 300] {
        each_case(move |text, _| below(text, depth));
    }
}

#[test]
fn through_other_executors() {
    each_case(|text, handle| async move {
        let lanes = Prioritized::new(handle.clone());
        let number = run_on(lanes.high(), number(text)).await?;
        let port = run_on(lanes.low(), run_on(handle, port(number))).await?;
        Ok(run_on(Inline, bound(port)).await?)
    });
}

#[test]
fn through_those_that_run_side_by_side() {
    each_case(|text, _| async move {
        let one = async { Ok::<_, Failed>(number(text).await?) };
        let (number, name) = when_all_of((one, async { Ok("name") })).await?;
        assert_eq!(name, "name");
        let ports = when_all([port(number), port(7)]).await?;
        let (port, none) = when_all_of((bound(ports[0]), ready(Ok(())))).await?;
        assert_eq!((ports[1], none), (7, ()));
        Ok(port)
    });
    each_case(|text, _| async move {
        let outputs = join_all([number("1"), number(text)]).await;
        let numbers = outputs.into_iter().collect::<Result<Vec<_>, _>>()?;
        let (port, other) = tress::try_join!(port(numbers[1]), port(numbers[0]))?;
        let bound = when_all([bound(other), bound(port)]).await?;
        Ok(bound[1])
    });
}

/// Where one is enough, it is not an error until all have failed.
#[test]
fn through_those_of_which_one_is_enough() {
    let _watchdog = watchdog();
    let runtime = runtime(2);
    let any = |texts: [&'static str; 2]| async move { Ok::<_, Failed>(when_any(texts.map(number)).await?) };
    assert_eq!(shown(runtime.block_on(any(["x", "8"]))), Ok(8));
    assert_eq!(
        shown(runtime.block_on(any(["x", "y"]))),
        Err(format!("2 numbers{}", &NO_NUMBER["number".len()..]))
    );
}

#[test]
fn through_scopes() {
    // From the body.
    each_case(|text, _| {
        scope(move |scope| async move {
            scope.spawn(async { Ok(()) });
            let number = number(text).await?;
            let port = port(number).await?;
            Ok::<_, Failed>(bound(port).await?)
        })
    });
    // From a task, whose error is that of the scope.
    each_case(|text, _| async move {
        let told = scope(move |scope| async move {
            scope.spawn(async move {
                named(text).await?;
                Ok(())
            });
            Ok::<_, Failed>(80)
        });
        told.await
    });
}

/// A task that is joined has two results, one in the other.
#[test]
fn through_joined_tasks() {
    each_case(|text, _| async move {
        let number = tress::spawn(number(text)).await??;
        let port = tress::spawn(port(number)).await??;
        Ok(tress::spawn(bound(port)).await??)
    });
    each_case(|text, handle| async move { launch(handle).spawn(named(text)).await? });
}

#[test]
fn the_ends_of_a_task_are_errors_of_a_type_too() {
    let _watchdog = watchdog();
    let runtime = runtime(2);
    async fn joined(task: tress::task::JoinHandle<Result<u16, Failed>>) -> Result<u16, Failed> {
        let port = task.await??;
        Ok(port)
    }
    without_panic_messages(|| {
        let panics = runtime.spawn(async { panic!("expected: no port") });
        assert_eq!(shown(runtime.block_on(joined(panics))), Err("panic".to_owned()));
    });

    let waits = || async {
        tress::time::sleep(std::time::Duration::from_secs(600)).await;
        named("80").await
    };
    let source = StopSource::new();
    let stopped = launch(runtime.handle().clone()).stop(source.token()).spawn(waits());
    source.request_stop();
    assert_eq!(shown(runtime.block_on(joined(stopped))), Err("stop".to_owned()));

    let aborted = runtime.spawn(waits());
    aborted.abort();
    assert_eq!(shown(runtime.block_on(joined(aborted))), Err("abort".to_owned()));

    let executor = Manual::new().executor();
    let refused = launch(executor).spawn(named("80"));
    assert_eq!(shown(runtime.block_on(joined(refused))), Err("refusal".to_owned()));
}

/// A stop becomes an error only where somebody says so, and of the type that they say.
#[test]
fn a_stop_is_the_error_that_it_is_said_to_be() {
    let _watchdog = watchdog();
    let runtime = runtime(2);
    let stops = async {
        let port = stop::stopped_as_error(
            async {
                stop::stopped().await;
                named("80").await
            },
            Failed::Stopped,
        );
        port.await?
    };
    assert_eq!(shown(runtime.block_on(stops)), Err("stopped here".to_owned()));
    let fails = async { stop::stopped_as_error(named("eighty"), Failed::Stopped).await? };
    assert_eq!(shown(runtime.block_on(fails)), Err(NO_NUMBER.to_owned()));
    let ends = async { stop::stopped_as_error(named("80"), Failed::Stopped).await? };
    assert_eq!(shown(runtime.block_on(ends)), Ok(80));
}
