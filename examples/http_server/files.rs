//! Files of a directory, and of nowhere else.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use tress::http::body::{BodyExt, Bytes, Either, Frame, StreamBody};
use tress::http::{HeaderValue, Response, StatusCode, header};
use tress::stream;
use tress::task::spawn_blocking;

use crate::routes::{Body, Failure, status};

/// Answers with the file that `path` (percent-encoded, relative to `directory`) names.
pub(crate) async fn serve(directory: &Path, path: &str) -> Response<Body> {
    let Some(relative) = decode(path) else { return status(StatusCode::BAD_REQUEST) };
    let directory = directory.to_owned();
    match spawn_blocking(move || open(&directory, &relative)).await {
        Ok(Ok((file, length, content_type))) => {
            let mut response =
                Response::new(Either::Right(BodyExt::boxed(StreamBody::new(chunks(file, length)))));
            let headers = response.headers_mut();
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
            headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
            headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
            response
        }
        Ok(Err(error)) if error.kind() == io::ErrorKind::PermissionDenied => status(StatusCode::FORBIDDEN),
        Ok(Err(_)) => status(StatusCode::NOT_FOUND),
        Err(_) => status(StatusCode::INTERNAL_SERVER_ERROR),
    }
}

/// Undoes percent-encoding; `None` for what is no such encoding, and for bytes that no file name has.
fn decode(path: &str) -> Option<PathBuf> {
    let mut bytes = path.bytes();
    let mut decoded = Vec::with_capacity(path.len());
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'%' => {
                let digits = [bytes.next()?, bytes.next()?].map(|digit| char::from(digit).to_digit(16));
                u8::try_from(digits[0]? * 16 + digits[1]?).ok()?
            }
            byte => byte,
        });
    }
    String::from_utf8(decoded).ok().filter(|path| !path.contains('\0')).map(PathBuf::from)
}

/// Opens a regular file below the directory. Blocks.
fn open(directory: &Path, relative: &Path) -> io::Result<(File, u64, &'static str)> {
    // Resolving `..` and symlinks first and comparing then leaves no spelling to forget. (Whoever can swap a path of the
    // directory for a symlink between the two calls below could write into the directory anyway.)
    let path = directory.join(relative).canonicalize()?;
    if !path.starts_with(directory) || !path.metadata()?.is_file() {
        return Err(io::ErrorKind::NotFound.into());
    }
    let file = File::open(&path)?;
    let length = file.metadata()?.len();
    Ok((file, length, content_type(&path)))
}

/// The file's bytes, read in pieces on the blocking pool; an error if it has become shorter.
fn chunks(file: File, length: u64) -> impl stream::Stream<Item = Result<Frame<Bytes>, Failure>> {
    stream::try_unfold((file, length), |(file, left)| async move {
        if left == 0 {
            return Ok(None);
        }
        let read = move || -> io::Result<_> {
            let mut piece = Vec::new();
            (&file).take(left.min(PIECE_BYTES)).read_to_end(&mut piece)?;
            Ok((file, piece))
        };
        let (file, piece) = spawn_blocking(read).await??;
        if piece.is_empty() {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        }
        let left = left - piece.len() as u64;
        Ok(Some((Frame::data(Bytes::from(piece)), (file, left))))
    })
}

fn content_type(path: &Path) -> &'static str {
    match path.extension().and_then(|extension| extension.to_str()) {
        Some("html" | "htm") => "text/html; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("js" | "mjs") => "text/javascript; charset=utf-8",
        Some("txt" | "md" | "rs" | "toml") => "text/plain; charset=utf-8",
        Some("json") => "application/json",
        Some("svg") => "image/svg+xml",
        Some("png") => "image/png",
        Some("jpg" | "jpeg") => "image/jpeg",
        Some("gif") => "image/gif",
        Some("webp") => "image/webp",
        Some("wasm") => "application/wasm",
        Some("pdf") => "application/pdf",
        _ => "application/octet-stream",
    }
}

const PIECE_BYTES: u64 = 64 * 1024;
