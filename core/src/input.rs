//! Everything that can happen to a session.

use core::fmt;
use std::sync::Arc;

use http::header::WWW_AUTHENTICATE;
use http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};

use crate::outcome::{Bound, Reply, Signature, TicketId};
use crate::scope::ScopeSet;
use crate::secret::Secret;
use crate::store::Stored;
use crate::visit::Visit;

/// Counts access tokens: each new one has a higher epoch than those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Epoch(pub u64);

/// Names one caller that waits for a settlement; chosen by the driver, unique among the unsettled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WaiterId(pub u64);

/// Names one request that reached the redirect URI, so that its page can be answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ArrivalId(pub u64);

/// One thing that happened.
#[derive(Debug)]
pub enum Input {
    /// A caller wants a usable grant.
    Acquire(Acquire),
    /// A login that somebody asked for by name, before any request was refused. It is as
    /// [`Input::Acquire`], except that a due login begins with the first request of an MCP session.
    /// A server that refuses this request says what it wants. A server that serves it and has no
    /// metadata ends the login with `authorization_not_required` (D18).
    LogIn(Acquire),
    /// A caller's request was refused by the MCP server.
    Challenge(Challenge),
    /// Something reached the redirect URI, or a person pasted it. Callbacks may come any number of
    /// times; each is matched to its login by `state` (AUTHZ-12).
    Callback {
        /// The arrival that is answered with a page.
        arrival: ArrivalId,
        /// The query or the code that arrived.
        callback: Callback,
    },
    /// This page could be shown to nobody: there is no browser and nobody to open it by hand. The
    /// login that waits at it ends with `browser_refused`; any other is left alone.
    Unshown(Visit),
    /// A piece of work was done; only its [`Ticket`](crate::effect::Ticket) makes this input.
    Answer(Answer),
    /// A caller no longer waits. Work it shares with others, and a refresh, go on.
    Cancel(WaiterId),
    /// A log-out: the held tokens are dropped, in memory and in the store.
    Forget,
    /// A deadline has come, or time has passed; always allowed.
    Wake,
}

/// A caller wants a usable grant.
#[derive(Clone, Debug)]
pub struct Acquire {
    /// The caller that waits.
    pub waiter: WaiterId,
    /// Scopes the grant must have been asked for; empty for none by name.
    pub scopes: ScopeSet,
    /// True if a person may be asked. If not, the answer without a usable grant is
    /// `reauthorization_required`.
    pub may_ask: bool,
}

/// A caller's request was refused by the MCP server.
#[derive(Clone, Debug)]
pub struct Challenge {
    /// The caller that waits.
    pub waiter: WaiterId,
    /// The refusal of the caller's request.
    pub refusal: Refusal,
}

/// A refusal by the MCP server.
#[derive(Clone)]
pub struct Refusal {
    /// The epoch of the token that the refused request carried; `None` if it carried none.
    pub epoch: Option<Epoch>,
    /// 401, 403 or 400.
    pub status: StatusCode,
    /// All headers of the answer; `WWW-Authenticate` is read from them.
    pub headers: HeaderMap,
    /// The attempted operation, for the retry limits: method plus tool, prompt or resource
    /// (STEP-10).
    pub operation: String,
    /// The newest epoch that the server is known to have let a request in with, if any.
    pub accepted: Option<Epoch>,
    /// The count that the last settlement of this request returned; the default for its first
    /// refusal.
    pub had: Had,
    /// True if a person may be asked.
    pub may_ask: bool,
}

/// Counts the tokens that came for one request since it was first sent. Every settlement returns a
/// new count, which the caller puts into the next [`Refusal`] of the same request. The count bounds
/// the request's retries. A token that was found in a store, or adopted from another process, is
/// neither a refresh nor a login of this request (STEP-90). A caller that starts from the default
/// at every refusal is given a refresh at every refusal, endlessly.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Had {
    /// Tokens that a refresh brought.
    pub(crate) renewals: u8,
    /// Tokens that a login brought.
    pub(crate) logins: u8,
    /// Grants of any kind that followed a refusal.
    pub(crate) grants: u8,
}

impl Had {
    /// Returns true if a refresh or a login brought a token for this request.
    pub(crate) const fn fresh_token(self) -> bool {
        self.renewals > 0 || self.logins > 0
    }
}

impl fmt::Debug for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Refusal")
            .field("epoch", &self.epoch)
            .field("status", &self.status)
            .field("operation", &self.operation)
            .field("accepted", &self.accepted)
            .field("had", &self.had)
            .field("may_ask", &self.may_ask)
            .finish_non_exhaustive()
    }
}

/// A query or a code that reached the redirect URI or was pasted.
#[derive(Clone, Debug)]
pub struct Callback(pub(crate) Arrived);

#[derive(Clone, Debug)]
pub(crate) enum Arrived {
    /// A URL or a raw query; it holds a code and is as secret as one.
    Query(Secret),
    /// D11: a code without its URL.
    BareCode(Secret),
}

impl Callback {
    /// The whole redirected URL, or just its raw query with or without the question mark.
    #[must_use]
    pub fn url(url: impl Into<Arc<str>>) -> Self {
        Self(Arrived::Query(Secret::new(url)))
    }

    /// Only a code, without `state` and `iss`.
    fn bare_code(code: impl Into<Arc<str>>) -> Self {
        Self(Arrived::BareCode(Secret::new(code)))
    }

    fn pasted(text: &str) -> Self {
        let text = text.trim();
        let named = |pair: &str| {
            let name = pair.split('=').next();
            pair.contains('=') && matches!(name, Some("code" | "error" | "state" | "iss"))
        };
        let query = text.split_once('?').map_or(text, |(_, query)| query);
        if text.contains("://") || text.starts_with('?') || query.split('&').any(named) {
            Self::url(text)
        } else {
            Self::bare_code(text)
        }
    }
}

/// The text that a person pasted: the redirected URL, its query, or a code alone. White space around it
/// is ignored. A code without `state` and `iss` is weaker, since PKCE alone ties it to this login: it is
/// refused in `Strict`, where the server promised `iss`, and when several logins wait (D11).
impl From<&str> for Callback {
    fn from(text: &str) -> Self {
        Self::pasted(text)
    }
}

/// The same as for borrowed text.
impl From<String> for Callback {
    fn from(text: String) -> Self {
        Self::pasted(&text)
    }
}

/// The outcome of one piece of work.
#[derive(Debug)]
pub struct Answer {
    pub(crate) ticket: TicketId,
    pub(crate) value: Value,
    /// The host and port of the proxy that a request went through.
    pub(crate) proxy: Option<Arc<str>>,
}

/// The result of a piece of work.
#[derive(Debug)]
pub(crate) enum Value {
    Reply(Reply),
    Bound(Bound),
    Stored(Stored),
    Signed(Signature),
}

/// Returns true if an answer of the MCP server is a refusal that belongs in [`Input::Challenge`]:
/// 401, 403, or a 400 that carries a challenge. A bare 400 is a matter of the MCP protocol
/// (TRANS-20).
#[must_use]
pub fn is_refusal(status: StatusCode, headers: &HeaderMap) -> bool {
    match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => true,
        StatusCode::BAD_REQUEST => headers.contains_key(WWW_AUTHENTICATE),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_pasted_is_a_url_a_query_or_a_code() {
        let bare = |text: &str| matches!(Callback::pasted(text).0, Arrived::BareCode(_));
        for query in [
            "http://127.0.0.1:1/cb?code=x&state=y",
            " com.example.app:/cb?error=access_denied\n",
            "?code=x",
            "state=y&code=x",
            "code=",
            "https://as.example/authorize",
        ] {
            assert!(!bare(query), "{query}");
        }
        for code in ["SplxlOBeZQQYbYS6WxSbIA", "a+b/c==", " 4/0Ab-x ", "code", ""] {
            assert!(bare(code), "{code}");
        }
    }
}
