//! Metadata requests, and the kinds of their answers before anything in them is believed (RFC 9728
//! §3, RFC 8414 §3, DISC-09, DISC-12).
//!
//! Decides whether an answer is a document, an absence or a refusal. [`read_resource_metadata`] and
//! [`read_server_metadata`] decide what the documents must hold.

use core::time::Duration;

use http::header::{ACCEPT, ACCEPT_ENCODING, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response};

use super::members::is_object;
pub use super::resource_metadata::{
    Match, ResourceMetadata, check_resource, read_resource_metadata,
};
use super::retry_after::read_retry_after;
pub(crate) use super::server_metadata::check_given_endpoints;
pub use super::server_metadata::{
    GrantTypes, Pkce, ServerMetadata, ServerRules, check_server_metadata, read_server_metadata,
};
use super::shape::is_encoded;
use super::url::ServerUrl;
use crate::failure::{Failure, Kind};
use crate::time::Timestamp;

/// Carries the protocol version on metadata requests too (DISC-13).
const PROTOCOL_VERSION: HeaderName = HeaderName::from_static("mcp-protocol-version");

/// A request for a metadata document: GET, no credentials of any kind (DISC-12), no compression
/// (HOST-066).
///
/// # Errors
/// `url_malformed` if the HTTP library refuses the URL; end the flow.
pub fn metadata_request(
    url: &ServerUrl,
    protocol_version: &HeaderValue,
) -> Result<Request<Vec<u8>>, Failure> {
    let mut headers = HeaderMap::with_capacity(3);
    headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
    headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    headers.insert(PROTOCOL_VERSION, protocol_version.clone());
    url.request(Method::GET, headers, Vec::new())
}

/// The kinds of answers to a metadata request.
#[derive(Debug)]
pub enum Finding<'a> {
    /// A body that claims to be a document; the two readers judge it.
    Document(&'a [u8]),
    /// Definitely no document: a 4xx other than 408 and 429. Go on to the next candidate (DISC-09).
    Absent(u16),
    /// A success that is no document, from a site that answers everything. Go on at a guessed
    /// address; at an advertised one it is an invalid document (HOST-059).
    Unrelated(u16),
    /// A redirect; [`resolve_redirect`](super::url::resolve_redirect) says where to.
    Redirect,
    /// The server cannot answer now (DISC-09, ASM-06).
    Transient {
        /// 408, 429 or 5xx.
        status: u16,
        /// The wait it asks for.
        retry_after: Option<Duration>,
    },
    /// An answer that breaks a rule of HTTP or of ours; end the attempt.
    Refused(Failure),
}

/// Sorts the answer to a metadata request (DISC-09, PRM-03, ASM-06). `now` reads dates in
/// `Retry-After`.
#[must_use]
pub fn classify(response: &Response<Vec<u8>>, now: Timestamp) -> Finding<'_> {
    let status = response.status().as_u16();
    match status {
        300..=399 => Finding::Redirect,
        408 | 429 | 500..=599 => {
            Finding::Transient { status, retry_after: read_retry_after(response.headers(), now) }
        }
        400..=499 => Finding::Absent(status),
        200 if is_encoded(response.headers()) => {
            Finding::Refused(Failure::new(Kind::EncodingRefused, "HOST-066"))
        }
        200 if is_json(response.headers()) || is_object(response.body()) => {
            Finding::Document(response.body())
        }
        200..=299 => Finding::Unrelated(status),
        _ => Finding::Refused(Failure::new(Kind::HeaderMalformed, "HOST-058")),
    }
}

/// `application/json` or anything `+json`, with or without parameters.
fn is_json(headers: &HeaderMap) -> bool {
    let Some(value) = headers.get(CONTENT_TYPE) else { return false };
    let media = value.as_bytes().split(|byte| *byte == b';').next().unwrap_or_default();
    let media = media.trim_ascii();
    let ends = |end: &[u8]| {
        media
            .len()
            .checked_sub(end.len())
            .and_then(|at| media.get(at..))
            .is_some_and(|tail| tail.eq_ignore_ascii_case(end))
    };
    media.eq_ignore_ascii_case(b"application/json") || ends(b"+json")
}

#[cfg(test)]
mod tests;
