//! The wire layer: pure pairs that build a request or read an answer. It has no state, no clock and
//! no randomness; whatever a reader needs beside the bytes is an argument.
//!
//! Every byte that enters here is hostile until its reader has passed it; every reader names the
//! code and the rule if it has not. Text that is compared or sent on is kept as it was received
//! (issuers, resources, client identifiers), because two spellings of one URL are two names.
//!
//! | module | request | reader |
//! | --- | --- | --- |
//! | [`first_request`] | the first request of a session | who answers |
//! | [`challenge`] | | `WWW-Authenticate` |
//! | [`well_known`] | addresses of metadata | |
//! | [`metadata`] | metadata | RFC 9728 and RFC 8414 documents |
//! | [`registration`] | RFC 7591 | the registration |
//! | [`client_document`] | a client document | the same, checked |
//! | [`authorize`], [`pkce`] | the authorization URL | the callback |
//! | [`token`], [`client_auth`] | token requests | tokens or the refusal |
//! | [`revocation`] | revocation requests | whether it is done |
//! | [`url`], [`redirect`] | | URLs of servers, of the person, of redirects |
//! | [`one_way`] | | whether a URL names one resource to every reader |

pub mod authorize;
pub mod challenge;
pub mod client_auth;
pub mod client_document;
pub mod first_request;
pub(crate) mod form;
mod json;
mod mcp_url;
mod members;
pub mod metadata;
pub mod one_way;
pub(crate) mod parts;
pub mod pkce;
mod reach;
pub mod redact;
pub mod redirect;
pub mod registration;
mod resource_metadata;
pub mod retry_after;
pub mod revocation;
mod said;
mod salvage;
mod server_metadata;
mod shape;
pub mod token;
pub mod url;
pub mod well_known;

pub use self::redirect::RedirectUri;
pub use self::url::{McpUrl, Reach, ServerUrl};
