//! Which path gives what.

use std::convert::Infallible;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tress::Handle;
use tress::http::body::{BodyExt, BoxBody, Bytes, Either, Full, Incoming, StreamBody};
use tress::http::{HeaderValue, Method, Request, Response, StatusCode, header};
use tress::stream::{self, StreamExt};
use tress::task::spawn_blocking;
use tress::time::timeout;
use tress::trace::{self, Dump};

use crate::{files, page};

pub(crate) type Failure = Box<dyn std::error::Error + Send + Sync>;
/// Short bodies without an allocation for the box, and streamed ones.
pub(crate) type Body = Either<Full<Bytes>, BoxBody<Bytes, Failure>>;

/// What the requests share.
pub(crate) struct Site {
    started: Instant,
    requests: AtomicU64,
    directory: Option<PathBuf>,
}

impl Site {
    pub(crate) fn new(directory: Option<PathBuf>) -> Self {
        Self { started: Instant::now(), requests: AtomicU64::new(0), directory }
    }

    pub(crate) fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }

    pub(crate) async fn answer(
        self: Arc<Self>,
        request: Request<Incoming>,
    ) -> Result<Response<Body>, Infallible> {
        self.requests.fetch_add(1, Ordering::Relaxed);
        let path = request.uri().path();
        let is_known =
            matches!(path, "/" | "/plaintext" | "/json" | "/stats.json" | "/tasks" | "/tasks.json" | "/echo");
        let file = path.strip_prefix("/files/").filter(|_| self.directory.is_some());
        let allowed: &[Method] =
            if path == "/echo" { &[Method::POST, Method::PUT] } else { &[Method::GET, Method::HEAD] };
        if !is_known && file.is_none() {
            return Ok(status(StatusCode::NOT_FOUND));
        }
        if !allowed.contains(request.method()) {
            let mut response = status(StatusCode::METHOD_NOT_ALLOWED);
            let methods = if path == "/echo" { "POST, PUT" } else { "GET, HEAD" };
            response.headers_mut().insert(header::ALLOW, HeaderValue::from_static(methods));
            return Ok(response);
        }
        Ok(match (path, file, &self.directory) {
            ("/plaintext", ..) => full("text/plain; charset=utf-8", "Hello, World!"),
            ("/json", ..) => full("application/json", r#"{"message":"Hello, World!"}"#),
            ("/", ..) => full("text/html; charset=utf-8", page::html(self.directory.is_some()).into_owned()),
            ("/stats.json", ..) => {
                full("application/json", page::stats(self.started.elapsed(), self.requests()))
            }
            ("/tasks", ..) => full("text/plain; charset=utf-8", tasks(|dump| dump.to_string()).await),
            ("/tasks.json", ..) => full("application/json", tasks(|dump| dump.to_json()).await),
            ("/echo", ..) => echo(request.into_body()).await,
            (_, Some(file), Some(directory)) => files::serve(directory, file).await,
            _ => status(StatusCode::NOT_FOUND),
        })
    }
}

/// What every task waits for. On a thread for what may take long, so that this task is one of those that wait.
async fn tasks(show: fn(&Dump) -> String) -> String {
    let handle = Handle::current();
    let shown = spawn_blocking(move || show(&trace::dump(&handle)));
    shown.await.unwrap_or_default() // the dump shows this line
}

/// A short response of this content type.
pub(crate) fn full(content_type: &'static str, body: impl Into<Bytes>) -> Response<Body> {
    let mut response = Response::new(Either::Left(Full::new(body.into())));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

/// A response that says no more than its status.
pub(crate) fn status(status: StatusCode) -> Response<Body> {
    let mut response = full("text/plain; charset=utf-8", format!("{status}\n"));
    *response.status_mut() = status;
    response
}

/// Sends the request's body back while it comes in; a client that stalls loses its connection.
async fn echo(mut body: Incoming) -> Response<Body> {
    // The response begins after the first look at the body: that look tells a client that asked to go on sending.
    let first = match timeout(STALL_TIMEOUT, body.frame()).await {
        Ok(Some(Ok(frame))) => Some(Ok(frame)),
        Ok(None) => None,
        Ok(Some(Err(_))) => return status(StatusCode::BAD_REQUEST),
        Err(_) => return status(StatusCode::REQUEST_TIMEOUT),
    };
    let rest = stream::try_unfold(body, |mut body| async {
        match timeout(STALL_TIMEOUT, body.frame()).await? {
            Some(frame) => Ok::<_, Failure>(Some((frame?, body))),
            None => Ok(None),
        }
    });
    let frames = stream::iter(first).chain(rest);
    Response::new(Either::Right(BodyExt::boxed(StreamBody::new(frames))))
}

const STALL_TIMEOUT: Duration = Duration::from_secs(30);
