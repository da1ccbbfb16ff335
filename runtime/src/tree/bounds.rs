//! What the compiler has to refuse of handles, and what it has to accept.
//!
//! A rooted future borrows nothing, and it and its output may be sent:
//!
//! ```compile_fail,E0597
//! use tress::task::{Lazy, lazy};
//! let text = String::from("borrowed");
//! let borrowed = &text;
//! let _: Lazy<'static, usize> = lazy(async move { borrowed.len() });
//! ```
//!
//! ```compile_fail,E0277
//! use std::rc::Rc;
//! use tress::task::lazy;
//! let shared = Rc::new(1);
//! let _ = lazy(async move { *shared });
//! ```
//!
//! ```compile_fail,E0277
//! use std::rc::Rc;
//! use tress::task::lazy;
//! let _ = lazy(async { Rc::new(1) });
//! ```
//!
//! ```compile_fail,E0277
//! use std::rc::Rc;
//! use tress::task::try_lazy;
//! let _ = try_lazy(async { Rc::new(1) });
//! ```
//!
//! ```compile_fail,E0277
//! use std::rc::Rc;
//! use tress::task::lazy_borrowed;
//! // SAFETY: it is not polled.
//! let _ = unsafe { lazy_borrowed(async { Rc::new(1) }).assume_unleaked() };
//! ```
//!
//! No handle outlives what its future borrows, not even if it is only dropped after that:
//!
//! ```compile_fail,E0597
//! use tress::task::lazy_borrowed;
//! let lazy;
//! let text = String::from("borrowed");
//! lazy = lazy_borrowed(async { assert!(!text.is_empty()) });
//! ```
//!
//! ```compile_fail,E0597
//! use tress::task::lazy_local_borrowed;
//! let lazy;
//! let text = String::from("borrowed");
//! lazy = lazy_local_borrowed(async { assert!(!text.is_empty()) });
//! ```
//!
//! ```compile_fail,E0597
//! use tress::task::lazy_borrowed;
//! let shared;
//! let text = String::from("borrowed");
//! shared = lazy_borrowed(async { assert!(!text.is_empty()) }).shared();
//! ```
//!
//! Nor what its output borrows:
//!
//! ```compile_fail,E0597
//! use tress::task::{Lazy, lazy_borrowed};
//! let lazy: Lazy<'_, Option<&String>>;
//! let text = String::from("borrowed");
//! lazy = lazy_borrowed(std::future::ready(Some(&text)));
//! ```
//!
//! What may not be sent:
//!
//! ```compile_fail,E0277
//! use tress::task::LocalLazy;
//! fn is_sent<T: Send>() {}
//! is_sent::<LocalLazy<'static, u8>>();
//! ```
//!
//! ```compile_fail,E0277
//! use tress::task::LocalLazy;
//! fn is_shared<T: Sync>() {}
//! is_shared::<LocalLazy<'static, u8>>();
//! ```
//!
//! ```compile_fail,E0277
//! use std::rc::Rc;
//! use tress::task::Lazy;
//! fn is_sent<T: Send>() {}
//! is_sent::<Lazy<'static, Rc<u8>>>();
//! ```
//!
//! A handle that was polled stays where it is:
//!
//! ```compile_fail,E0277
//! use tress::task::Lazy;
//! fn is_moved<T: Unpin>() {}
//! is_moved::<Lazy<'static, u8>>();
//! ```
//!
//! It stands for one future, which there is once, and which does nothing unless somebody awaits it:
//!
//! ```compile_fail,E0277
//! use tress::task::Lazy;
//! fn is_cloned<T: Clone>() {}
//! is_cloned::<Lazy<'static, u8>>();
//! ```
//!
//! ```compile_fail,E0277
//! use tress::task::Lazy;
//! fn is_made_of_nothing<T: Default>() {}
//! is_made_of_nothing::<Lazy<'static, u8>>();
//! ```
//!
//! ```compile_fail
//! #![deny(unused_must_use)]
//! tress::task::lazy(async {});
//! ```
//!
//! Handles are covariant, like what they stand for:
//!
//! ```
//! use tress::task::{Lazy, LocalLazy};
//!
//! fn shorter<'a>(lazy: Lazy<'static, &'static str>) -> Lazy<'a, &'a str> {
//!     lazy
//! }
//! fn shorter_local<'a>(lazy: LocalLazy<'static, &'static str>) -> LocalLazy<'a, &'a str> {
//!     lazy
//! }
//! ```
