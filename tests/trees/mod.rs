//! Random trees of awaits: what they are, what may come out of them by plain recursion, and how they become futures.

use std::collections::BTreeSet;
use std::future::Future;
use std::panic::{AssertUnwindSafe, resume_unwind};
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex};

use futures_util::FutureExt;
use futures_util::future::{Either, select};
use futures_util::stream::{FuturesUnordered, StreamExt};
use tress::task::{Lazy, lazy, lazy_borrowed};

use crate::leaves::{Flag, Gate, never, poll_once};
use crate::support::{Census, Counted, Random};

/// A part of a tree.
pub(crate) enum Node {
    Value(u64),
    Fails(u64),
    Panics(u64),
    /// Waits until the gate with this number is opened.
    Waits(usize),
    /// One after the other, with `?`.
    Chain(Vec<Node>),
    /// An error is replaced by this value.
    Recovers(Box<Node>, u64),
    /// A panic is caught and replaced by this value.
    Catches(Box<Node>, u64),
    Join(Vec<Node>),
    TryJoin(Box<[Node; 2]>),
    /// Whichever is first; the other is dropped.
    Race(Box<[Node; 2]>),
    /// The second never ends.
    Wins(Box<[Node; 2]>),
    /// Polled so many times at most and then dropped, for this value.
    Dropped(Box<Node>, usize, u64),
    Unstarted(Box<Node>, u64),
    /// Polled without a waker first.
    Probed(Box<Node>),
    In(Place, Box<Node>),
    /// A set of futures, each with a waker of its own.
    Unordered(Vec<Node>),
}

/// In what a part is run.
#[derive(Clone, Copy)]
pub(crate) enum Place {
    Box,
    Borrowed,
    Opaque,
    Task,
    /// A task that goes on with what this one has started.
    Moved,
    /// A combinator with a waker of its own.
    Waker,
}

/// What may come out of a part. Panics sort last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Outcome {
    Value(u64),
    Error(u64),
    Panic(u64),
}

type Outcomes = BTreeSet<Outcome>;

/// Makes trees.
pub(crate) struct Forester {
    pub(crate) random: Random,
    /// How many gates there are so far.
    pub(crate) gates: usize,
    /// Whether parts may be given to other tasks: not when steps are compared.
    pub(crate) has_tasks: bool,
}

impl Forester {
    pub(crate) fn tree(&mut self, depth: usize) -> Node {
        let n = self.random.next() % 1000;
        if depth == 0 || self.random.once_in(8) {
            return match self.random.below(10) {
                0 => Node::Fails(n),
                1 => Node::Panics(n),
                2..5 => Node::Value(n),
                _ => {
                    self.gates += 1;
                    Node::Waits(self.gates - 1)
                }
            };
        }
        let below = depth - 1;
        match self.random.below(20) {
            0..4 => Node::Chain(self.trees(below)),
            4 => Node::Recovers(self.boxed(below), n),
            5 => Node::Catches(self.boxed(below), n),
            6..9 => Node::Join(self.trees(below)),
            9 => Node::TryJoin(self.pair(below)),
            10 => Node::Race(self.pair(below)),
            11 => Node::Wins(self.pair(below)),
            12 => Node::Dropped(self.boxed(below), self.random.below(4), n),
            13 => Node::Unstarted(self.boxed(below), n),
            14 => Node::Probed(self.boxed(below)),
            15 => Node::Unordered(self.trees(below)),
            _ => {
                let place = match self.random.below(if self.has_tasks { 6 } else { 4 }) {
                    0 => Place::Box,
                    1 => Place::Borrowed,
                    2 => Place::Opaque,
                    3 => Place::Waker,
                    4 => Place::Task,
                    _ => Place::Moved,
                };
                Node::In(place, self.boxed(below))
            }
        }
    }

    fn boxed(&mut self, depth: usize) -> Box<Node> {
        Box::new(self.tree(depth))
    }

    fn pair(&mut self, depth: usize) -> Box<[Node; 2]> {
        Box::new([self.tree(depth), self.tree(depth)])
    }

    fn trees(&mut self, depth: usize) -> Vec<Node> {
        (0..1 + self.random.below(3)).map(|_| self.tree(depth)).collect()
    }
}

impl Outcome {
    fn is_panic(self) -> bool {
        matches!(self, Self::Panic(_))
    }
}

/// Everything that may come out of a part, in whatever order its gates are opened.
pub(crate) fn outcomes(node: &Node) -> Outcomes {
    match node {
        Node::Value(n) => [Outcome::Value(*n)].into(),
        Node::Waits(gate) => [Outcome::Value(*gate as u64)].into(),
        Node::Fails(n) => [Outcome::Error(*n)].into(),
        Node::Panics(n) => [Outcome::Panic(*n)].into(),
        Node::Chain(nodes) => {
            let mut all: Outcomes = [Outcome::Value(1)].into();
            for node in nodes {
                let (values, mut ends): (Outcomes, Outcomes) =
                    all.into_iter().partition(|outcome| matches!(outcome, Outcome::Value(_)));
                if !values.is_empty() {
                    for outcome in outcomes(node) {
                        match outcome {
                            Outcome::Value(n) => ends.extend(values.iter().map(|value| value.then(n))),
                            end => _ = ends.insert(end),
                        }
                    }
                }
                all = ends;
            }
            all
        }
        Node::Recovers(node, n) => outcomes(node)
            .into_iter()
            .map(|outcome| if let Outcome::Error(_) = outcome { Outcome::Value(*n) } else { outcome })
            .collect(),
        Node::Catches(node, n) => outcomes(node)
            .into_iter()
            .map(|outcome| if outcome.is_panic() { Outcome::Value(*n) } else { outcome })
            .collect(),
        Node::Join(nodes) | Node::Unordered(nodes) => {
            // A panic of one ends all; errors are put off to the end.
            let mut all: Outcomes = [Outcome::Value(0)].into();
            for node in nodes {
                let both: Vec<_> =
                    all.iter().flat_map(|a| outcomes(node).into_iter().map(|b| a.and(b))).collect();
                all.extend(outcomes(node).into_iter().filter(|outcome| outcome.is_panic()));
                all.retain(|outcome| outcome.is_panic());
                all.extend(both);
            }
            all
        }
        Node::TryJoin(pair) => {
            let [a, b] = [outcomes(&pair[0]), outcomes(&pair[1])];
            let both = a.iter().flat_map(|a| b.iter().map(|b| a.and(*b)));
            let values = both.filter(|outcome| matches!(outcome, Outcome::Value(_)));
            let ends = a.iter().chain(&b).copied().filter(|outcome| !matches!(outcome, Outcome::Value(_)));
            values.chain(ends).collect()
        }
        Node::Race(pair) => &outcomes(&pair[0]) | &outcomes(&pair[1]),
        Node::Wins(pair) => &outcomes(&pair[0]) | &panics(&pair[1]),
        Node::Dropped(node, polls, n) => {
            let mut all = if *polls == 0 { Outcomes::new() } else { panics(node) };
            all.insert(Outcome::Value(*n));
            all
        }
        Node::Unstarted(_, n) => [Outcome::Value(*n)].into(),
        Node::Probed(node) | Node::In(_, node) => outcomes(node),
    }
}

fn panics(node: &Node) -> Outcomes {
    outcomes(node).into_iter().filter(|outcome| outcome.is_panic()).collect()
}

impl Outcome {
    /// A value, and then another.
    fn then(self, next: u64) -> Self {
        let Self::Value(n) = self else { unreachable!("only values go on") };
        Self::Value(n.wrapping_mul(31).wrapping_add(next))
    }

    /// Both: a panic before an error before the sum; of two errors the smaller one.
    fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Value(a), Self::Value(b)) => Self::Value(a.wrapping_add(b)),
            (Self::Panic(n), _) | (_, Self::Panic(n)) => Self::Panic(n),
            (Self::Error(a), Self::Error(b)) => Self::Error(a.min(b)),
            (Self::Error(n), _) | (_, Self::Error(n)) => Self::Error(n),
        }
    }
}

/// A value that is counted.
pub(crate) struct Token(pub(crate) u64, #[expect(dead_code, reason = "it is counted")] Counted);

pub(crate) type Output = Result<Token, u64>;

/// What a panic of a tree carries.
pub(crate) struct Thrown(pub(crate) u64, #[expect(dead_code, reason = "it is counted")] Counted);

/// What all parts of a tree have.
#[derive(Clone)]
pub(crate) struct Soil {
    pub(crate) census: Census,
    pub(crate) gates: Arc<[Gate]>,
    /// What has happened, if somebody wants to know.
    pub(crate) log: Option<Arc<Mutex<Vec<String>>>>,
}

impl Soil {
    fn token(&self, n: u64) -> Token {
        Token(n, self.census.count())
    }

    fn log(&self, event: impl FnOnce() -> String) {
        if let Some(log) = &self.log {
            log.lock().unwrap().push(event());
        }
    }
}

/// How parts become futures of their own: as frames, or as boxes to compare them with.
pub(crate) trait Frames: 'static {
    type Handle: Future<Output = Output> + Send + 'static;

    fn frame(future: impl Future<Output = Output> + Send + 'static) -> Self::Handle;

    fn opaque(handle: Self::Handle) -> Self::Handle;

    fn borrowed<'a>(
        future: impl Future<Output = Output> + Send + 'a,
    ) -> impl Future<Output = Output> + Send + 'a;
}

pub(crate) enum Lazies {}

impl Frames for Lazies {
    type Handle = Lazy<'static, Output>;

    fn frame(future: impl Future<Output = Output> + Send + 'static) -> Self::Handle {
        lazy(future)
    }

    fn opaque(handle: Self::Handle) -> Self::Handle {
        handle.opaque()
    }

    fn borrowed<'a>(
        future: impl Future<Output = Output> + Send + 'a,
    ) -> impl Future<Output = Output> + Send + 'a {
        lazy_borrowed(future)
    }
}

pub(crate) enum Boxes {}

impl Frames for Boxes {
    type Handle = Pin<Box<dyn Future<Output = Output> + Send>>;

    fn frame(future: impl Future<Output = Output> + Send + 'static) -> Self::Handle {
        Box::pin(future)
    }

    fn opaque(handle: Self::Handle) -> Self::Handle {
        handle
    }

    fn borrowed<'a>(
        future: impl Future<Output = Output> + Send + 'a,
    ) -> impl Future<Output = Output> + Send + 'a {
        Box::pin(future)
    }
}

/// Logs when it is dropped.
struct Local {
    soil: Soil,
    path: u64,
    _counted: Counted,
}

impl Drop for Local {
    fn drop(&mut self) {
        self.soil.log(|| format!("{:x} dropped", self.path));
    }
}

/// A future of its own for a part, at such a place in the tree.
pub(crate) fn grow<F: Frames>(node: Node, path: u64, soil: &Soil) -> F::Handle {
    let local = Local { soil: soil.clone(), path, _counted: soil.census.count() };
    F::frame(async move {
        let soil = &local.soil;
        soil.log(|| format!("{path:x} started"));
        let output = run::<F>(node, path, soil).await;
        soil.log(|| match &output {
            Ok(token) => format!("{path:x} gives {}", token.0),
            Err(error) => format!("{path:x} fails with {error}"),
        });
        output
    })
}

async fn run<F: Frames>(node: Node, path: u64, soil: &Soil) -> Output {
    // The path of a part below: its place in hexadecimal behind its parent's.
    let child = |node, place| grow::<F>(node, path << 4 | place, soil);
    match node {
        Node::Value(n) => Ok(soil.token(n)),
        Node::Fails(n) => Err(n),
        Node::Panics(n) => resume_unwind(Box::new(Thrown(n, soil.census.count()))),
        Node::Waits(gate) => {
            soil.gates[gate].passed().await;
            Ok(soil.token(gate as u64))
        }
        Node::Chain(nodes) => {
            let mut sum = soil.token(1);
            for (node, place) in nodes.into_iter().zip(1..) {
                sum.0 = sum.0.wrapping_mul(31).wrapping_add(child(node, place).await?.0);
            }
            Ok(sum)
        }
        Node::Recovers(node, n) => Ok(child(*node, 1).await.unwrap_or_else(|_| soil.token(n))),
        Node::Catches(node, n) => {
            AssertUnwindSafe(child(*node, 1)).catch_unwind().await.unwrap_or_else(|_| Ok(soil.token(n)))
        }
        Node::Join(nodes) => {
            let mut nodes = nodes.into_iter();
            let outputs = match (nodes.next(), nodes.next(), nodes.next()) {
                (Some(a), None, _) => vec![child(a, 1).await],
                (Some(a), Some(b), None) => {
                    let (a, b) = tress::join!(child(a, 1), child(b, 2));
                    vec![a, b]
                }
                (Some(a), Some(b), Some(c)) => {
                    let (a, b, c) = tress::join!(child(a, 1), child(b, 2), child(c, 3));
                    vec![a, b, c]
                }
                _ => vec![],
            };
            add_up(outputs, soil)
        }
        Node::TryJoin(pair) => {
            let [a, b] = *pair;
            let (a, b) = tress::try_join!(child(a, 1), child(b, 2))?;
            add_up(vec![Ok(a), Ok(b)], soil)
        }
        Node::Race(pair) => {
            let [a, b] = *pair;
            let (mut a, mut b) = (pin!(child(a, 1).fuse()), pin!(child(b, 2).fuse()));
            tress::select_biased! {
                output = a => output,
                output = b => output,
            }
        }
        Node::Wins(pair) => {
            let [winner, loser] = *pair;
            let loser = async {
                let _output = child(loser, 2).await;
                never().await;
            };
            match select(pin!(child(winner, 1)), pin!(loser)).await {
                Either::Left((output, _)) => output,
                Either::Right(((), _)) => unreachable!("the loser never ends"),
            }
        }
        Node::Dropped(node, polls, n) => {
            let mut slot = pin!(Some(child(*node, 1)));
            for _ in 0..polls {
                let child = slot.as_mut().as_pin_mut().expect("it is dropped below");
                if poll_once(child).await.is_ready() {
                    break;
                }
            }
            slot.set(None);
            Ok(soil.token(n))
        }
        Node::Unstarted(node, n) => {
            drop(child(*node, 1));
            Ok(soil.token(n))
        }
        Node::Probed(node) => {
            let mut child = pin!(child(*node, 1));
            match child.as_mut().now_or_never() {
                Some(output) => output,
                None => child.await,
            }
        }
        Node::In(place, node) => run_in::<F>(place, child(*node, 1), soil).await,
        Node::Unordered(nodes) => {
            let set: FuturesUnordered<_> =
                nodes.into_iter().zip(1..).map(|(node, place)| child(node, place)).collect();
            add_up(set.collect().await, soil)
        }
    }
}

async fn run_in<F: Frames>(place: Place, handle: F::Handle, soil: &Soil) -> Output {
    match place {
        Place::Box => Box::pin(handle).await,
        Place::Opaque => F::opaque(handle).await,
        Place::Borrowed => {
            F::borrowed(async {
                // It borrows this.
                let _census = &soil.census;
                handle.await
            })
            .await
        }
        Place::Waker => {
            let flag = Arc::new(Flag::default());
            let (mut handle, mut seen) = (pin!(handle), None);
            std::future::poll_fn(|cx| {
                flag.pass_to(cx.waker());
                let wakes = flag.wakes();
                if seen == Some(wakes) {
                    return std::task::Poll::Pending;
                }
                seen = Some(wakes);
                handle.as_mut().poll(&mut std::task::Context::from_waker(&flag.waker()))
            })
            .await
        }
        Place::Task => joined(tress::spawn(handle)).await,
        Place::Moved => {
            let mut boxed = Box::pin(handle);
            match poll_once(boxed.as_mut()).await {
                std::task::Poll::Ready(output) => output,
                std::task::Poll::Pending => joined(tress::spawn(boxed)).await,
            }
        }
    }
}

/// Passes on how a task has ended; aborted with whoever waits for it.
async fn joined(task: tress::task::JoinHandle<Output>) -> Output {
    struct AbortOnDrop(tress::task::AbortHandle);
    impl Drop for AbortOnDrop {
        fn drop(&mut self) {
            self.0.abort();
        }
    }
    let _abort = AbortOnDrop(task.abort_handle());
    match task.await {
        Ok(output) => output,
        Err(error) if error.is_panic() => resume_unwind(error.into_panic()),
        // Only when the runtime ends.
        Err(_) => never().map(|()| Err(0)).await,
    }
}

fn add_up(outputs: Vec<Output>, soil: &Soil) -> Output {
    let error = outputs.iter().filter_map(|output| output.as_ref().err()).min();
    match error {
        Some(error) => Err(*error),
        None => Ok(soil.token(outputs.iter().flatten().map(|token| token.0).fold(0, u64::wrapping_add))),
    }
}
