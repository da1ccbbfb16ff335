//! The scheduler, tasks, reactor and timers of tress.

mod frame;
mod primitive;
mod reactor;
mod time;
