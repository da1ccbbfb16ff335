//! The HTTP service of every runtime.

use std::convert::Infallible;
use std::future::{Ready, ready};

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::service::Service;
use hyper::{Request, Response};

/// The body of every answer.
pub(crate) const PLAINTEXT: &[u8] = b"Hello, World!";

/// A service that answers every request with [`PLAINTEXT`].
pub(crate) fn plaintext_service() -> Plaintext {
    Plaintext
}

/// See [`plaintext_service`].
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plaintext;

impl Service<Request<Incoming>> for Plaintext {
    type Response = Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn call(&self, _request: Request<Incoming>) -> Self::Future {
        let mut response = Response::new(Full::new(Bytes::from_static(PLAINTEXT)));
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
        ready(Ok(response))
    }
}
