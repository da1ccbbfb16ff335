//! The attribute macros of tress: they turn an `async fn` into one that runs on a runtime of its own.
//!
//! Use them as `tress::main` and `tress::test`; this crate only exists because attribute macros need one.

mod arguments;
mod entry;

use proc_macro::TokenStream;

use crate::entry::Entry;

/// Runs an `async fn main` on a runtime.
///
/// The function's body becomes the future of `Runtime::block_on`; its arguments and return type stay as they are.
/// Any `async fn` without a receiver will do, not only `main`.
///
/// # Arguments
///
/// - `worker_threads = N`: how many workers the runtime has (a literal or any expression; default: the CPUs that the
///   process may use).
/// - `crate = path`: where the items of `tress` are found (default `::tress`), for crates that re-export it.
///
/// # Panics
///
/// The function that comes out panics if the runtime cannot be made, for instance for want of file descriptors.
///
/// # Examples
///
/// ```
/// #[tress::main(worker_threads = 4)]
/// async fn main() -> std::io::Result<()> {
///     let listener = tress::net::TcpListener::bind("127.0.0.1:0").await?;
///     println!("listening on {}", listener.local_addr()?);
///     Ok(())
/// }
/// ```
#[proc_macro_attribute]
pub fn main(arguments: TokenStream, item: TokenStream) -> TokenStream {
    entry::expand(Entry::Main, arguments.into(), item.into()).into()
}

/// Runs an `async fn` as a test, on a runtime of its own.
///
/// It takes the arguments of [`main`](macro@main); without `worker_threads` the runtime has two workers, so that tests
/// see parallel tasks, and many tests at once do not need a thread for each core each. Other attributes, such as
/// `#[should_panic]`, go on as usual.
///
/// # Examples
///
/// ```
/// #[tress::test]
/// async fn spawned_tasks_give_their_output() {
///     assert_eq!(tress::spawn(async { 7 }).await.unwrap(), 7);
/// }
/// ```
#[proc_macro_attribute]
pub fn test(arguments: TokenStream, item: TokenStream) -> TokenStream {
    entry::expand(Entry::Test, arguments.into(), item.into()).into()
}
