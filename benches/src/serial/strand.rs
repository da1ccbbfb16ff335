//! The ways of tress's users: an actor, tasks on a strand, posts to a strand.

use std::io;
use std::sync::Arc;

use tress::Handle;
use tress::executor::launch;
use tress::strand::{Actor, Strand, StrandCell};

use super::neighbour;
use super::plan::Plan;
use super::post::{self, Poster};
use super::sharing::{self, Sharing};
use super::table::Table;
use crate::clock::{Sample, Window};
use crate::peer::{Rt, Tress};

pub(super) fn share_actor(plan: Plan, window: Window) -> Result<Sample, String> {
    sharing::shared::<Called>(&started(Tress::start())?, plan, window)
}

pub(super) fn share_strand(plan: Plan, window: Window) -> Result<Sample, String> {
    sharing::shared::<Lived>(&started(Tress::start())?, plan, window)
}

pub(super) fn post(variant: &str, window: Window) -> Result<Sample, String> {
    let runtime = started(Tress::start())?;
    match variant {
        "remote" => Ok(post::post_remote::<Posted>(&runtime, window)),
        "self" => Ok(post::post_self::<Posted>(&runtime, window)),
        "pool" => Ok(post::post_pool(&runtime, window)),
        _ => Err(format!("no variant `{variant}` of posts")),
    }
}

pub(super) fn neighbour(variant: &str, is_quick: bool) -> Result<Sample, String> {
    neighbour::neighbour::<Posted>(&started(Tress::with_workers(1))?, variant, is_quick)
}

fn started(runtime: io::Result<Tress>) -> Result<Tress, String> {
    runtime.map_err(|error| format!("tress does not start: {error}"))
}

/// An actor that is called.
#[derive(Debug, Clone)]
struct Called(Actor<Table>);

impl Sharing for Called {
    type Runtime = Tress;

    fn share(table: Table) -> Self {
        Self(Actor::new(table))
    }

    async fn update(&self, number: u64, rounds: u32) -> u64 {
        let reply = self.0.call(move |table: &mut Table| table.update(number, rounds)).await;
        reply.expect("the actor takes every call")
    }

    async fn end(self) -> Table {
        self.0.call(|table: &mut Table| table.clone()).await.expect("the actor takes every call")
    }
}

/// Tasks that live on a strand, and the state with them.
#[derive(Debug, Clone)]
struct Lived {
    strand: Strand,
    table: Arc<StrandCell<Table>>,
}

impl Sharing for Lived {
    type Runtime = Tress;

    /// They wait for their turns on the strand, and within a call for nothing.
    const CALLS_WAIT: bool = false;

    fn share(table: Table) -> Self {
        let strand = Strand::new(Handle::current());
        let table = Arc::new(StrandCell::new(&strand, table));
        Self { strand, table }
    }

    fn spawn<F>(&self, task: F) -> <Tress as Rt>::Task<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        launch(self.strand.clone()).spawn(task).into()
    }

    async fn update(&self, number: u64, rounds: u32) -> u64 {
        self.table.borrow_mut().update(number, rounds)
    }

    async fn end(self) -> Table {
        let table = Arc::clone(&self.table);
        self.spawn(async move { table.borrow_mut().clone() }).await
    }
}

/// A strand that is posted to.
#[derive(Debug, Clone)]
struct Posted(Strand);

impl Poster for Posted {
    type Runtime = Tress;

    fn make() -> Self {
        Self(Strand::new(Handle::current()))
    }

    fn post(&self, item: impl FnOnce() + Send + 'static) {
        self.0.post(item);
    }
}
