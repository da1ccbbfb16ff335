//! What the compiler has to refuse of tasks and of whoever has them run.
//!
//! What a blocking scope's task borrows outlives the call, not only the closure:
//!
//! ```compile_fail,E0597
//! # let runtime = tress::Runtime::new().unwrap();
//! runtime.handle().scope(|scope| {
//!     let text = String::from("inside");
//!     let inside = &text;
//!     scope.spawn(async move { assert!(!inside.is_empty()) });
//! });
//! ```
//!
//! And what one has borrowed to change, no other one has:
//!
//! ```compile_fail,E0499
//! # let runtime = tress::Runtime::new().unwrap();
//! let mut numbers = vec![1];
//! runtime.handle().scope(|scope| {
//!     scope.spawn(async { numbers.push(2) });
//!     scope.spawn(async { numbers.push(3) });
//! });
//! ```
//!
//! ```compile_fail,E0502
//! # let runtime = tress::Runtime::new().unwrap();
//! let mut numbers = vec![1];
//! runtime.handle().scope(|scope| {
//!     scope.spawn(async { numbers.push(2) });
//!     assert_eq!(numbers.len(), 2);
//! });
//! ```
//!
//! Neither the scope nor a handle of its tasks leaves it:
//!
//! ```compile_fail,E0521
//! # let runtime = tress::Runtime::new().unwrap();
//! let mut escaped = None;
//! runtime.handle().scope(|scope| escaped = Some(scope.spawn(async {})));
//! ```
//!
//! ```compile_fail,E0521
//! # let runtime = tress::Runtime::new().unwrap();
//! let mut escaped = None;
//! runtime.handle().scope(|scope| escaped = Some(scope));
//! ```
//!
//! Nor does it pass for one that ends earlier, or later:
//!
//! ```compile_fail
//! use tress::task::BlockingScope;
//! fn earlier<'a, 'long: 'a, 'env: 'long>(scope: &'a BlockingScope<'long, 'env>) -> &'a BlockingScope<'a, 'env> {
//!     scope
//! }
//! ```
//!
//! ```compile_fail
//! use tress::task::BlockingScope;
//! fn lent<'a, 'env: 'a>(scope: &'a BlockingScope<'a, 'static>) -> &'a BlockingScope<'a, 'env> {
//!     scope
//! }
//! ```
//!
//! ```
//! use tress::task::BlockingScope;
//! fn as_it_is<'a, 'env>(scope: &'a BlockingScope<'a, 'env>) -> &'a BlockingScope<'a, 'env> {
//!     scope
//! }
//! ```
//!
//! What a task holds, and what it gives, may be sent:
//!
//! ```compile_fail,E0277
//! # let runtime = tress::Runtime::new().unwrap();
//! let shared = std::rc::Rc::new(1);
//! runtime.handle().scope(|scope| drop(scope.spawn(async move { assert_eq!(*shared, 1) })));
//! ```
//!
//! ```compile_fail,E0277
//! # let runtime = tress::Runtime::new().unwrap();
//! runtime.handle().scope(|scope| drop(scope.spawn(async { std::rc::Rc::new(1) })));
//! ```
//!
//! ```compile_fail,E0277
//! use tress::executor::{Inline, launch};
//! let shared = std::rc::Rc::new(1);
//! launch(Inline).detach(async move { assert_eq!(*shared, 1) });
//! ```
//!
//! ```compile_fail,E0277
//! use tress::executor::{Inline, run_on};
//! let shared = std::rc::Rc::new(1);
//! let _ = run_on(Inline, async move { assert_eq!(*shared, 1) });
//! ```
//!
//! ```compile_fail,E0277
//! use tress::executor::{Inline, run_on};
//! let _ = run_on(Inline, async { std::rc::Rc::new(1) });
//! ```
//!
//! Whoever runs what may not be sent stays where it is:
//!
//! ```compile_fail,E0277
//! fn is_sent<T: Send>() {}
//! is_sent::<tress::executor::CurrentThread>();
//! ```
//!
//! ```compile_fail,E0277
//! fn is_sent<T: Send>() {}
//! is_sent::<tress::executor::LocalSpawner>();
//! ```
//!
//! ```compile_fail,E0277
//! fn is_shared<T: Sync>() {}
//! is_shared::<tress::executor::LocalSpawner>();
//! ```
//!
//! ```compile_fail,E0277
//! let _ = tress::env::scope().value(std::rc::Rc::new(1));
//! ```
//!
//! What runs beside whoever begins it borrows nothing, since that may be leaked:
//!
//! ```compile_fail,E0597
//! use tress::task::scope;
//! # let runtime = tress::Runtime::new().unwrap();
//! let text = String::from("outside");
//! let outside = &text;
//! let scoped = scope(|scope| async move {
//!     scope.spawn(async move { if outside.is_empty() { Err(()) } else { Ok(()) } });
//!     Ok(())
//! });
//! runtime.block_on(scoped).unwrap();
//! ```
//!
//! ```compile_fail,E0597
//! use tress::task::JoinSet;
//! let text = String::from("outside");
//! let outside = &text;
//! JoinSet::new().spawn(async move { outside.len() });
//! ```
//!
//! ```compile_fail,E0597
//! use tress::task::CountingScope;
//! let text = String::from("outside");
//! let outside = &text;
//! let _ = CountingScope::new().spawn(async move { outside.len() });
//! ```
//!
//! ```compile_fail,E0597
//! use tress::executor::{Inline, launch};
//! let text = String::from("outside");
//! let outside = &text;
//! let _ = launch(Inline).block_on(async move { outside.len() });
//! ```
//!
//! ```compile_fail,E0597
//! # let runtime = tress::Runtime::new().unwrap();
//! let numbers = vec![1];
//! let outside = &numbers;
//! runtime.block_on(tress::algorithm::bulk(1, move |n| assert_eq!(outside[n], 1)));
//! ```
//!
//! ```compile_fail,E0597
//! use std::pin::pin;
//! use tress::stop::{StopCallback, StopSource};
//! let source = StopSource::new();
//! let text = String::from("outside");
//! let outside = &text;
//! let callback = pin!(StopCallback::new(move || assert!(!outside.is_empty())));
//! callback.register(&source.token());
//! ```
//!
//! What is awaited where it is written may borrow:
//!
//! ```
//! use tress::executor::{Inline, run_on};
//! let runtime = tress::Runtime::new().unwrap();
//! let mut numbers = vec![1];
//! runtime.block_on(run_on(Inline, async { numbers.push(2) }));
//! runtime.block_on(tress::task::scope(|_scope| async {
//!     numbers.push(3);
//!     Ok::<_, ()>(())
//! })).unwrap();
//! assert_eq!(numbers, [1, 2, 3]);
//! ```
