//! The field `host`, which every request of HTTP/1.1 has once (RFC 9112, section 3.2).
//!
//! hyper leaves it to the service. A server that answers without it lets whatever stands in front of it, or behind it,
//! take the same request to be for another site.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use http::header::{CONNECTION, HOST};
use http::{HeaderValue, Request, Response, StatusCode, Version};
use http_body::Body;
use http_body_util::{Either, Empty};
use hyper::service::Service;
use pin_project_lite::pin_project;

/// A service that is not asked when the request does not say, or says twice, which host it is for.
#[derive(Debug, Clone)]
pub(crate) struct HostChecked<S>(pub(crate) S);

impl<S, I, B> Service<Request<I>> for HostChecked<S>
where
    S: Service<Request<I>, Response = Response<B>>,
    B: Body,
{
    type Response = Response<Either<B, Empty<B::Data>>>;
    type Error = S::Error;
    type Future = Answer<S::Future>;

    fn call(&self, request: Request<I>) -> Answer<S::Future> {
        if names_its_host(&request) {
            Answer::OfService { future: self.0.call(request) }
        } else {
            Answer::Refusal
        }
    }
}

pin_project! {
    /// The service's answer, or status 400.
    #[derive(Debug)]
    #[project = AnswerProjection]
    pub(crate) enum Answer<F> {
        OfService {
            #[pin]
            future: F,
        },
        Refusal,
    }
}

impl<F, B, E> Future for Answer<F>
where
    F: Future<Output = Result<Response<B>, E>>,
    B: Body,
{
    type Output = Result<Response<Either<B, Empty<B::Data>>>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Poll::Ready(match self.project() {
            AnswerProjection::OfService { future } => {
                ready!(future.poll(cx)).map(|response| response.map(Either::Left))
            }
            AnswerProjection::Refusal => Ok(refusal().map(Either::Right)),
        })
    }
}

/// Whether the request has the fields `host` that it must have.
fn names_its_host<I>(request: &Request<I>) -> bool {
    let mut hosts = request.headers().get_all(HOST).iter();
    match (hosts.next(), hosts.next()) {
        (Some(host), None) => host.as_bytes().iter().all(|byte| may_be_in_host(*byte)),
        (None, _) => request.version() < Version::HTTP_11,
        (Some(_), Some(_)) => false,
    }
}

/// Whether RFC 3986 has the byte in a host or port. An empty host is one, too.
fn may_be_in_host(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~%!$&'()*+,;=:[]".contains(&byte)
}

fn refusal<D: bytes::Buf>() -> Response<Empty<D>> {
    let mut response = Response::new(Empty::new());
    *response.status_mut() = StatusCode::BAD_REQUEST;
    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    response
}
