//! The workloads that need no socket, each written once for every runtime, or for every allocator.

mod block_on_spawn;
mod bulk;
mod chained_spawn;
mod deep_chain;
mod deep_wake;
mod env_with;
mod fork_join;
pub(crate) mod frame_alloc;
mod idle_memory;
mod join_handover;
mod lazy_call;
mod ping_pong;
mod random;
mod slot;
mod spawn_join;
mod spawn_remote;
mod stop_callback;
mod when_all;
mod yields;

pub(crate) use self::block_on_spawn::block_on_spawn;
pub(crate) use self::bulk::{bulk, rayon_bulk};
pub(crate) use self::chained_spawn::chained_spawn;
pub(crate) use self::deep_chain::deep_chain;
pub(crate) use self::deep_wake::deep_wake;
pub(crate) use self::env_with::{env_with_empty, env_with_value};
pub(crate) use self::fork_join::fork_join;
pub(crate) use self::idle_memory::idle_memory;
pub(crate) use self::join_handover::join_handover;
pub(crate) use self::lazy_call::{lazy_call_bare, lazy_call_lifo, lazy_call_mix, lazy_call_plain};
pub(crate) use self::ping_pong::{ping_pong_oneshot, ping_pong_slot};
pub(crate) use self::spawn_join::spawn_join;
pub(crate) use self::spawn_remote::spawn_remote;
pub(crate) use self::stop_callback::stop_callback;
pub(crate) use self::when_all::when_all;
pub(crate) use self::yields::yields;
