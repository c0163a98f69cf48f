//! A reqwest client that the program has of its own.

use core::error::Error;
use core::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response};
use mcp_authz_core::effect::{Limits, Why};
use mcp_authz_driver::ports::{AsyncBody, Opened, Unanswered};
use mcp_authz_driver::{dial, head};

/// A body that reqwest reads.
#[derive(Debug)]
pub(crate) struct Body(reqwest::Response);

impl AsyncBody for Body {
    async fn piece(&mut self, within: Duration) -> Result<Option<Bytes>, Why> {
        let piece = tokio::time::timeout(within, self.0.chunk()).await;
        piece.map_err(|_| Why::Timeout)?.map_err(|error| broken(&error))
    }
}

pub(crate) async fn open(
    client: &reqwest::Client,
    request: Request<Vec<u8>>,
    limits: &Limits,
) -> Opened<Body> {
    let unsent = |why| Unanswered { why, sent: false };
    dial::check_literal(request.uri(), limits.addresses).map_err(unsent)?;
    let bodiless = request.body().is_empty()
        && !matches!(*request.method(), Method::POST | Method::PUT | Method::PATCH);
    let request = if bodiless {
        reqwest::Request::try_from(request.map(|_| reqwest::Body::default()))
    } else {
        reqwest::Request::try_from(request)
    };
    let request = request.map_err(|_| unsent(Why::Resolve))?;
    let answered = tokio::time::timeout(limits.total, answer(client, request, limits)).await;
    // Nobody knows whether it was sent by then, so it counts as sent.
    answered.unwrap_or(Err(Unanswered { why: Why::Timeout, sent: true }))
}

async fn answer(
    client: &reqwest::Client,
    request: reqwest::Request,
    limits: &Limits,
) -> Opened<Body> {
    let asked = request.url().clone();
    let mut answer = client.execute(request).await.map_err(|error| unanswered(&error))?;
    let refused = |why| Unanswered { why, sent: true };
    if *answer.url() != asked {
        return Err(refused(Why::Redirected));
    }
    let (mut head, ()) = Response::new(()).into_parts();
    head.status = answer.status();
    head.version = answer.version();
    head.headers = core::mem::take(answer.headers_mut());
    head::check(&head, limits).map_err(refused)?;
    Ok(Response::from_parts(head, Body(answer)))
}

/// There is no head: either nothing was sent, or nobody knows.
fn unanswered(error: &reqwest::Error) -> Unanswered {
    if !error.is_connect() {
        return Unanswered { why: broken(error), sent: true };
    }
    let why = if error.is_timeout() {
        Why::Timeout
    } else if cause::<rustls::Error>(error).is_some() {
        Why::Tls
    } else {
        dial::exhausted_by(error).unwrap_or(Why::Connect)
    };
    Unanswered { why, sent: false }
}

fn broken(error: &reqwest::Error) -> Why {
    match cause::<hyper::Error>(error) {
        _ if error.is_timeout() => Why::Timeout,
        // hyper has a predicate for this, but only for those who also build its server.
        Some(error) if error.to_string().contains("too large") => Why::HeadTooLarge,
        Some(error) if error.is_parse() => Why::HeadMalformed,
        _ => Why::Broken,
    }
}

/// The first error of a type on the way to the root, also within an I/O error, which hides its own.
fn cause<E: Error + 'static>(error: &reqwest::Error) -> Option<&E> {
    let mut next: Option<&(dyn Error + 'static)> = error.source();
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        let inner = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        next = match inner {
            Some(inner) => Some(inner),
            None => error.source(),
        };
    }
    None
}
