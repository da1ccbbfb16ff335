//! HTTP/1.1 on hyper, over tress's own streams, timers and tasks.
//!
//! [`serve`] is all that a server needs. For anything else hyper can do, [`io::HyperIo`], [`TressTimer`] and
//! [`TressExecutor`] are what hyper asks of a runtime, and a [`TcpStream`](crate::socket::TcpStream) can be handed to
//! it as it is.
//!
//! The types of requests and responses are those of the `http` crate, re-exported.

mod connection;
mod deadlines;
mod executor;
mod host;
pub mod io;
mod live;
mod server;
mod serving;
mod timer;

pub use self::executor::TressExecutor;
pub use self::server::{ConnectionCount, Server, serve};
pub use self::serving::Serving;
pub use self::timer::TressTimer;
pub use ::http::{
    HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri, header, uri,
};
pub use hyper::service::{Service, service_fn};

pub mod body {
    //! Bodies of requests and responses, from hyper and `http-body-util`.

    pub use bytes::{Buf, Bytes};
    pub use http_body::{Body, Frame, SizeHint};
    pub use http_body_util::combinators::BoxBody;
    pub use http_body_util::{
        BodyExt, Collected, Either, Empty, Full, LengthLimitError, Limited, StreamBody,
    };
    pub use hyper::body::Incoming;
}
