//! The workloads in which work must not overlap: state that tasks share, and queues that are worked off by one thread at a time.

mod neighbour;
mod on_tokio;
mod plan;
mod post;
mod rounds;
mod sharing;
mod strand;
mod table;

use self::on_tokio::{ActorTask, AsyncMutex, ParkingLot, PostTask, StdMutex};
use self::plan::Plan;
pub(crate) use self::rounds::Rounds;
pub(crate) use self::table::Totals;
use crate::cli::SampleRequest;
use crate::clock::{Sample, Window};
use crate::peer::{Asio, Peer, Tokio};

/// Whether the workload is one of these.
pub(crate) fn is_serial_workload(workload: &str) -> bool {
    matches!(workload, "shared" | "actor_uncontended" | "strand_post" | "strand_neighbour")
}

/// Runs one of them.
pub(crate) fn sample(request: &SampleRequest, window: Window) -> Result<Sample, String> {
    let variant = request.variant.as_str();
    match request.workload.as_str() {
        "shared" => {
            let plan = Plan::shared(variant, request.is_quick)
                .ok_or_else(|| format!("no variant `{variant}` of shared state"))?;
            sample_shared(request.peer, plan, window)
        }
        "actor_uncontended" => sample_shared(request.peer, Plan::uncontended(request.is_quick), window),
        "strand_post" => sample_post(request.peer, variant, window),
        "strand_neighbour" => sample_neighbour(request),
        other => Err(format!("`{other}` is no such workload")),
    }
}

fn sample_shared(peer: Peer, plan: Plan, window: Window) -> Result<Sample, String> {
    match peer {
        Peer::Tress => strand::share_actor(plan, window),
        Peer::TressStrand => strand::share_strand(plan, window),
        Peer::Bare => Ok(sharing::bare(plan, window)),
        Peer::TokioMutex => sharing::shared::<AsyncMutex>(&Tokio::multi_thread(), plan, window),
        Peer::TokioActor => sharing::shared::<ActorTask>(&Tokio::multi_thread(), plan, window),
        Peer::StdMutex => sharing::shared::<StdMutex>(&Tokio::multi_thread(), plan, window),
        Peer::ParkingLot => sharing::shared::<ParkingLot>(&Tokio::multi_thread(), plan, window),
        Peer::Asio => sample_asio_shared(plan, window),
        _ => Err(no_part(peer)),
    }
}

/// The program checks nothing by itself: it says what its table came to after the shorter warm-up.
fn sample_asio_shared(plan: Plan, window: Window) -> Result<Sample, String> {
    let short = plan.shorter(10);
    let numbers =
        [plan.tasks, plan.calls_per_task, short.calls_per_task, plan.inside.into(), plan.outside.into()];
    let (sample, totals) = Asio::shared(numbers, plan.has_tail, window)?;
    let expected = sharing::expected(short);
    if totals == expected {
        Ok(sample)
    } else {
        Err(format!("the table comes to {totals:?} and not to {expected:?}"))
    }
}

fn sample_post(peer: Peer, variant: &str, window: Window) -> Result<Sample, String> {
    match (peer, variant) {
        (Peer::Tress, _) => strand::post(variant, window),
        (Peer::Asio, _) => Asio::strand_post(variant, window),
        (Peer::TokioActor, "remote") => Ok(post::post_remote::<PostTask>(&Tokio::multi_thread(), window)),
        (Peer::TokioActor, "self") => Ok(post::post_self::<PostTask>(&Tokio::multi_thread(), window)),
        (Peer::Tokio, "pool") => Ok(post::post_pool(&Tokio::multi_thread(), window)),
        _ => Err(no_part(peer)),
    }
}

fn sample_neighbour(request: &SampleRequest) -> Result<Sample, String> {
    let (variant, is_quick) = (request.variant.as_str(), request.is_quick);
    match request.peer {
        Peer::Tress => strand::neighbour(variant, is_quick),
        Peer::TokioActor => neighbour::neighbour::<PostTask>(&Tokio::with_workers(1), variant, is_quick),
        Peer::Asio => {
            let (items, runs) = neighbour::size(is_quick);
            Asio::strand_neighbour(variant, items, runs, Rounds::here().spin_1us)
        }
        peer => Err(no_part(peer)),
    }
}

fn no_part(peer: Peer) -> String {
    format!("{} takes no part in this", peer.name())
}
