//! Everything a session wants done, as values.
//!
//! [`Told`] needs no answer and is performed first; [`Work`] carries a [`Ticket`] that turns its
//! outcome into the next input. A ticket is spent by its answer, so nothing is answered twice.

use core::fmt;
use core::marker::PhantomData;
use core::time::Duration;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::address::{Addresses, is_local_name, is_loopback_host};
use crate::failure::{Failure, Kind};
use crate::granted::Granted;
use crate::input::{Answer, ArrivalId, Had, Input, Value, WaiterId};
use crate::note::Note;
pub use crate::outcome::{Bound, Reply, Signature, TicketId, Why};
pub use crate::purpose::Purpose;
pub use crate::store::{Bytes, Holder, Key, Record, RecordKind, Spend, StoreRequest, Stored};
pub use crate::visit::{Page, Parties, Visit};
pub use crate::wire::redirect::LoopbackHost;

/// All effects of one step.
#[must_use]
#[derive(Debug, Default)]
pub struct Effects {
    /// Performed first and in order; waits for nothing.
    pub told: Vec<Told>,
    /// Performed after everything told; each is answered through its ticket.
    pub work: Vec<Work>,
}

/// Something the outside is told.
#[derive(Debug)]
#[non_exhaustive]
pub enum Told {
    /// The grant that callers may use from now on; `None` if there is none.
    Publish(Option<Arc<Granted>>),
    /// One caller's answer.
    Settle(Settlement),
    /// Show this page to the person.
    Open(Visit),
    /// The listener's answer to that arrival.
    Page {
        /// The arrival.
        arrival: ArrivalId,
        /// The page that its browser shows.
        page: Page,
    },
    /// How a log-out ended, as far as it has; told once for each log-out.
    Forgotten(Forgotten),
    /// Stop this work: close the port, drop the request if it is not sent.
    Abandon(TicketId),
    /// A note of what the session did and why: the log line, the trace, the proof of the table.
    Note(Note),
}

/// One caller's answer.
#[derive(Clone, Debug)]
pub struct Settlement {
    /// The caller.
    pub waiter: WaiterId,
    /// The grant to use, or the failure instead of one.
    pub outcome: Result<Arc<Granted>, Arc<Failure>>,
    /// True if the store refused the record, so that the grant lives in memory only (HOST-229).
    pub unsaved: bool,
    /// The count of tokens that came for the caller's request so far. The caller puts it into the
    /// next refusal of that request.
    pub had: Had,
}

/// How a log-out ended. The held tokens are dropped in any case, and never come back.
#[derive(Clone, Debug)]
pub struct Forgotten {
    /// The revocation of the tokens at the authorization server (RFC 7009).
    pub revoked: Revoked,
    /// The reason why the store has not removed the tokens from the record; `None` if it has, or
    /// has none. The store is asked again while the process lives (REVK-05).
    pub unremoved: Option<Kind>,
}

/// The authorization server's answer to a log-out.
#[derive(Clone, Debug)]
pub enum Revoked {
    /// There was nothing to revoke.
    Nothing,
    /// The server has no revocation endpoint: the tokens live on there until they expire.
    NotOffered,
    /// The server has revoked every token, or did not know it (REVK-03).
    Done,
    /// The server has not revoked every token, or its answer is unknown: the tokens must be taken
    /// as valid (REVK-04).
    Failed(Arc<Failure>),
}

/// Something to be done and answered. The list is exhaustive on purpose: a driver must perform
/// each.
#[expect(clippy::large_enum_variant, reason = "most work is a call")]
#[derive(Debug)]
pub enum Work {
    /// Send one HTTP request.
    Call(Call),
    /// Listen on the redirect URI.
    Listen(Listen),
    /// Read or write the credential store.
    Store(StoreOp),
    /// Sign with a key the host owns.
    Sign(Sign),
}

impl Work {
    /// The id of this work's ticket, by which [`Told::Abandon`] names it.
    #[must_use]
    pub fn id(&self) -> TicketId {
        match self {
            Self::Call(call) => call.ticket.id,
            Self::Listen(listen) => listen.ticket.id,
            Self::Store(op) => op.ticket.id,
            Self::Sign(sign) => sign.ticket.id,
        }
    }
}

/// The right to answer one piece of work, once.
#[derive(Debug)]
#[must_use]
pub struct Ticket<T> {
    id: TicketId,
    answered_with: PhantomData<fn(T)>,
}

impl<T> Ticket<T> {
    pub(crate) const fn new(id: TicketId) -> Self {
        Self { id, answered_with: PhantomData }
    }

    /// The id by which [`Told::Abandon`] names this work.
    #[must_use]
    pub const fn id(&self) -> TicketId {
        self.id
    }
}

macro_rules! answered {
    ($($type:ty => $variant:ident;)*) => {$(
        impl Ticket<$type> {
            /// Turns the outcome into the session's next input.
            #[must_use]
            pub fn answer(self, value: $type) -> Input {
                Input::Answer(Answer { ticket: self.id, value: Value::$variant(value), proxy: None })
            }
        }
    )*};
}

answered! {
    Reply => Reply;
    Bound => Bound;
    Stored => Stored;
    Signature => Signed;
}

impl Ticket<Reply> {
    /// Does the same as [`Ticket::answer`] for a request that went through a proxy, or would have.
    /// The proxy is named by its host and port: the session notes it once, and failures name it.
    #[must_use]
    pub fn answer_by(self, value: Reply, proxy: Option<Arc<str>>) -> Input {
        Input::Answer(Answer { ticket: self.id, value: Value::Reply(value), proxy })
    }
}

/// Send one HTTP request: no redirects followed, no cookies, no cache, no compression.
pub struct Call {
    pub(crate) request: http::Request<Vec<u8>>,
    pub(crate) limits: Limits,
    pub(crate) purpose: Purpose,
    pub(crate) ticket: Ticket<Reply>,
}

impl Call {
    /// The request, its limits, and the right to answer.
    pub fn split(self) -> (http::Request<Vec<u8>>, Limits, Ticket<Reply>) {
        (self.request, self.limits, self.ticket)
    }

    /// The purpose of the request.
    #[must_use]
    pub const fn purpose(&self) -> Purpose {
        self.purpose
    }
}

impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let uri = self.request.uri();
        f.debug_struct("Call")
            .field("purpose", &self.purpose)
            .field("method", self.request.method())
            .field("origin", &uri.authority().map(http::uri::Authority::as_str))
            .field("path", &uri.path())
            .finish_non_exhaustive()
    }
}

/// The limits of one request. An adapter enforces all of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Time to connect, TLS included.
    pub connect: Duration,
    /// Time for the whole request, from the first look-up to the last byte.
    pub total: Duration,
    /// Bytes of the answer's head.
    pub head: usize,
    /// Fields in the answer's head.
    pub fields: usize,
    /// Bytes of the answer's body.
    pub body: usize,
    /// The addresses that may be dialled. The rule is asked about each address at the moment of
    /// connecting, IP literals included (SEC-07).
    pub addresses: Addresses,
    /// True if the request may go through a proxy. The proxy looks names up, so that only literals
    /// and special names are judged here.
    pub proxy: bool,
}

impl Limits {
    /// Decides whether a proxy may be asked for a host, written as in a URL: true if it may, false if
    /// the host is loopback, which is behind no proxy. The proxy looks names up, so everything is
    /// judged here that the text tells: an address, and a name that means this machine or its network
    /// (HOST-033, HOST-036).
    ///
    /// # Errors
    /// [`Why::AddressBlocked`] or [`Why::ProxyForbidden`]: nothing is to be sent.
    pub fn leave_to_proxy(&self, host: &str) -> Result<bool, Why> {
        if is_loopback_host(host) {
            return Ok(false);
        }
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        let judged = match bare.parse() {
            Ok(address) => self.addresses.allow(address),
            Err(_) => {
                matches!(self.addresses, Addresses::Any | Addresses::Private)
                    || !is_local_name(host)
            }
        };
        match (judged, self.proxy) {
            (false, _) => Err(Why::AddressBlocked),
            (true, false) => Err(Why::ProxyForbidden),
            (true, true) => Ok(true),
        }
    }
}

/// Listen on the redirect URI until abandoned; every request to it becomes
/// [`Input::Callback`].
#[derive(Debug)]
pub struct Listen {
    pub(crate) on: ListenOn,
    pub(crate) ticket: Ticket<Bound>,
}

impl Listen {
    /// The address to listen on, and the right to name the port. The ticket is answered once, when
    /// the port is bound or could not be.
    pub fn split(self) -> (ListenOn, Ticket<Bound>) {
        (self.on, self.ticket)
    }
}

/// The address to listen on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListenOn {
    /// The host as the redirect URI writes it: `127.0.0.1`, `[::1]` or `localhost`. Bind the
    /// loopback addresses it means, never an unspecified one.
    pub host: LoopbackHost,
    /// The port; `None` for any free one.
    pub port: Option<u16>,
    /// The only path that is a callback.
    pub path: String,
}

impl ListenOn {
    /// The failure to listen there (HOST-197). It names the port: only the person can free it.
    pub(crate) fn unavailable(&self, bound: Bound) -> Failure {
        let (host, path) = (self.host.as_str(), &self.path);
        let port = self.port.map_or_else(String::new, |port| format!(":{port}"));
        let (kind, why) = match bound {
            Bound::Taken => (Kind::ListenerUnavailable, ": another program has this port"),
            Bound::Exhausted => (Kind::MachineExhausted, ""),
            Bound::Port(_) | Bound::Failed => (Kind::ListenerUnavailable, ""),
        };
        Failure::new(kind, "NAT-08").with_subject(&format!("http://{host}{port}{path}{why}"))
    }
}

/// Read or write one record of the credential store.
#[derive(Debug)]
pub struct StoreOp {
    pub(crate) request: StoreRequest,
    pub(crate) ticket: Ticket<Stored>,
}

impl StoreOp {
    /// The operation, and the right to answer how it ended.
    pub fn split(self) -> (StoreRequest, Ticket<Stored>) {
        (self.request, self.ticket)
    }
}

/// Sign with a key the host owns.
#[derive(Debug)]
pub struct Sign {
    pub(crate) request: SignRequest,
    pub(crate) ticket: Ticket<Signature>,
}

impl Sign {
    /// The request to sign, and the right to answer.
    pub fn split(self) -> (SignRequest, Ticket<Signature>) {
        (self.request, self.ticket)
    }
}

/// A message to sign, with its key and algorithm.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignRequest {
    /// The host's own name of the key.
    pub key: String,
    /// A JWS algorithm name.
    pub algorithm: String,
    /// The bytes to sign.
    pub message: Vec<u8>,
}
