//! What does not compile, so that an actor's state is what all of its handles take it for.
//!
//! A handle of one type is none of a subtype: through that, a function that keeps what it is called with could take the place of one that must not.
//!
//! ```compile_fail,E0308
//! use tress::strand::Actor;
//!
//! let actor: Actor<for<'a> fn(&'a String)> = Actor::new(|_| ());
//! let other: Actor<fn(&'static String)> = actor.clone();
//! ```
//!
//! Nor is a strand over one executor.
//!
//! ```compile_fail,E0308
//! use tress::strand::Strand;
//!
//! fn change<'a>(strand: Strand<for<'b> fn(&'b String)>) -> Strand<fn(&'static String)> {
//!     strand
//! }
//! ```
