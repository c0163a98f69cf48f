//! Everything a session wants done, as values.
//!
//! [`Told`] needs no answer and is performed first; [`Work`] carries a [`Ticket`] that turns its
//! outcome into the next input. A ticket is spent by its answer, so nothing is answered twice.

mod store;

use core::fmt;
use core::marker::PhantomData;
use core::time::Duration;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::address::Addresses;
use crate::failure::{Failure, Kind, Remedy};
use crate::granted::Granted;
use crate::input::{Answer, ArrivalId, Had, Input, Value, WaiterId};
use crate::note::Note;
use crate::scope::ScopeSet;
use crate::secret::Secret;

pub use store::{Bytes, Holder, Key, Record, RecordKind, Spend, StoreRequest, Stored};

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
    /// The grant that callers may use from now on, or that there is none.
    Publish(Option<Arc<Granted>>),
    /// One caller's answer.
    Settle(Settlement),
    /// Show this page to the person.
    Open(Visit),
    /// What the listener answers to that arrival.
    Page {
        /// Which arrival.
        arrival: ArrivalId,
        /// What its browser shows.
        page: Page,
    },
    /// How a log-out ended, as far as it has; told once for each.
    Forgotten(Forgotten),
    /// Stop this work: close the port, drop the request if it is not sent.
    Abandon(TicketId),
    /// What the session did and why: the log line, the trace, the proof of the table.
    Note(Note),
}

/// One caller's answer.
#[derive(Clone, Debug)]
pub struct Settlement {
    /// Whose.
    pub waiter: WaiterId,
    /// The grant to use, or why there is none.
    pub outcome: Result<Arc<Granted>, Arc<Failure>>,
    /// The store refused the record: the grant lives in memory only (HOST-229).
    pub unsaved: bool,
    /// What the caller's request has had by now; it goes into the next refusal of that request.
    pub had: Had,
}

/// How a log-out ended. What was held is dropped in any case, and never comes back.
#[derive(Clone, Debug)]
pub struct Forgotten {
    /// Whether the authorization server has revoked the tokens (RFC 7009).
    pub revoked: Revoked,
    /// Why the store has not removed the tokens from the record; `None` if it has, or has none. It
    /// is asked again while the process lives (REVK-05).
    pub unremoved: Option<Kind>,
}

/// What the authorization server said to a log-out.
#[derive(Clone, Debug)]
pub enum Revoked {
    /// There was nothing to revoke.
    Nothing,
    /// The server has no revocation endpoint: the tokens live on there until they expire.
    NotOffered,
    /// It has revoked every token, or did not know it (REVK-03).
    Done,
    /// It has not, or nobody knows: the tokens must be taken as valid (REVK-04).
    Failed(Arc<Failure>),
}

/// A page for the person, and what to show beside it before it is opened (AUTHZ-14).
#[derive(Clone, PartialEq, Eq)]
pub struct Visit {
    pub(crate) url: Secret,
    /// The authorization server.
    pub issuer: Arc<str>,
    /// The authorization server of the record so far, if it was another (BIND-03).
    pub previous_issuer: Option<Arc<str>>,
    /// The resource the token is for.
    pub resource: Arc<str>,
    /// Host of the authorization endpoint, in punycode.
    pub authorization_host: String,
    /// Host of the token endpoint, in punycode.
    pub token_host: String,
    /// The scopes that are asked for.
    pub scopes: ScopeSet,
    /// Our client identifier there.
    pub client_id: Arc<str>,
    /// Where the answer will arrive.
    pub redirect_uri: String,
    /// Host of the endpoint where the program has registered itself, in punycode.
    pub registration_host: Option<Arc<str>>,
    /// Host of the endpoint that takes the tokens back at a log-out, in punycode.
    pub revocation_host: Option<Arc<str>>,
    /// Shown before, by this process or the one before it: do not open it a second time.
    pub reissued: bool,
}

impl Visit {
    /// The authorization URL, for the person's browser and nothing else: it holds `state`.
    #[must_use]
    pub fn url(&self) -> &str {
        self.url.expose()
    }

    /// The resource as it may be shown: without its query, which may hold a key (HOST-326).
    #[must_use]
    pub fn shown_resource(&self) -> &str {
        self.resource.split(['?', '#']).next().unwrap_or_default()
    }

    /// Every host of the authorization server that gets something, and what it gets (HOST-147). One
    /// host may stand there for several things.
    #[must_use]
    pub fn hosts(&self) -> Vec<(&'static str, &str)> {
        let mut hosts = vec![
            ("log-in host", self.authorization_host.as_str()),
            ("token host", self.token_host.as_str()),
        ];
        hosts.extend(self.registration_host.iter().map(|host| ("registration", &**host)));
        hosts.extend(self.revocation_host.iter().map(|host| ("log-out host", &**host)));
        hosts
    }
}

impl fmt::Debug for Visit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Visit")
            .field("issuer", &self.issuer)
            .field("resource", &self.shown_resource())
            .field("scopes", &self.scopes.as_str())
            .field("reissued", &self.reissued)
            .finish_non_exhaustive()
    }
}

/// What the listener answers to one arrival. Never a byte of the request is shown by it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Page {
    /// The login is complete.
    Authorized(Parties),
    /// The login goes on with another page, which [`Told::Open`] has shown: the server had forgotten
    /// the registration that the first one was for (REG-21).
    OneMoreStep(Parties),
    /// This arrival has the login's own `state`, and is not of the issuer that the login is at: it is
    /// not believed, and the login goes on waiting (ISS-90).
    Untrusted {
        /// Between whom the login is.
        parties: Parties,
        /// What the login ends as if nothing better comes. Its subject names the issuer that was
        /// received, so a browser is shown its kind alone.
        failure: Arc<Failure>,
    },
    /// The person, or the server, said no.
    Denied(Parties),
    /// The login ended with a failure.
    Failed {
        /// Between whom.
        parties: Parties,
        /// What happened.
        kind: Kind,
        /// What to do about it.
        remedy: Remedy,
    },
    /// This arrival belongs to no waiting login; the waiting one, if any, goes on. Names nobody: any
    /// web page can send a browser here.
    Refused(Kind),
}

/// Between whom a login was, as its page names them. Both are what the session itself has verified,
/// never a name that a server chose for itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parties {
    /// Host of the MCP server, in punycode.
    pub resource: String,
    /// Host of the authorization server's issuer, in punycode.
    pub issuer: String,
}

impl Page {
    /// The HTTP status for it.
    #[must_use]
    pub const fn status(&self) -> u16 {
        match self {
            Self::Authorized(_) | Self::OneMoreStep(_) | Self::Denied(_) | Self::Failed { .. } => {
                200
            }
            Self::Untrusted { .. } | Self::Refused(_) => 400,
        }
    }
}

/// Something to be done and answered. Exhaustive on purpose: a driver must meet each.
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

/// Names one piece of work. Random, since a counter would collide between a session and its
/// restored copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TicketId(pub(crate) u64);

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
                Input::Answer(Answer { ticket: self.id, value: Value::$variant(value) })
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

/// Why a request is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Purpose {
    /// The first request of an MCP session, which shows whether a login is wanted at all.
    FirstRequest,
    /// RFC 9728 protected resource metadata.
    ResourceMetadata,
    /// RFC 8414 or OpenID Connect metadata of an authorization server.
    ServerMetadata,
    /// RFC 7591 dynamic client registration.
    Registration,
    /// The person's visit to the authorization endpoint.
    Authorization,
    /// The code for a token.
    CodeExchange,
    /// The refresh token for a token.
    Refresh,
    /// Tokens given back.
    Revocation,
}

impl Purpose {
    /// A stable name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::FirstRequest => "first_request",
            Self::ResourceMetadata => "resource_metadata",
            Self::ServerMetadata => "server_metadata",
            Self::Registration => "registration",
            Self::Authorization => "authorization",
            Self::CodeExchange => "code_exchange",
            Self::Refresh => "refresh",
            Self::Revocation => "revocation",
        }
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
    /// The request, how far its answer may go, and the right to answer.
    pub fn split(self) -> (http::Request<Vec<u8>>, Limits, Ticket<Reply>) {
        (self.request, self.limits, self.ticket)
    }

    /// The id by which [`Told::Abandon`] names it.
    #[must_use]
    pub const fn id(&self) -> TicketId {
        self.ticket.id
    }

    /// Why it is sent.
    #[must_use]
    pub const fn purpose(&self) -> Purpose {
        self.purpose
    }

    /// The request, to look at.
    #[must_use]
    pub const fn request(&self) -> &http::Request<Vec<u8>> {
        &self.request
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

/// How far one request may go. An adapter enforces all of it.
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
    /// Which addresses may be dialled; asked about each address at the moment of connecting,
    /// IP literals included (SEC-07).
    pub addresses: Addresses,
}

/// How a request ended.
pub enum Reply {
    /// A whole answer within the limits; the body is unparsed. See also [`Reply::cut`].
    Answered(http::Response<Vec<u8>>),
    /// Certainly no byte of the request left this machine's side of the connection.
    NotSent(Why),
    /// Anything else: the server may have acted on it.
    MaybeSent(Why),
}

/// Marks an answer whose body was cut off, in its extensions, and says by what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Cut(Why);

impl Reply {
    /// An answer whose head came whole and whose body did not: what came of it may hold a token that
    /// nobody can ask for again (D19). To everybody else it is [`Reply::MaybeSent`].
    #[must_use]
    pub fn cut(mut response: http::Response<Vec<u8>>, why: Why) -> Self {
        response.extensions_mut().insert(Cut(why));
        Self::Answered(response)
    }

    /// Why there is no whole answer, and whether the request may have been sent all the same.
    #[must_use]
    pub fn lost(&self) -> Option<(Why, bool)> {
        match self {
            Self::Answered(response) => {
                response.extensions().get::<Cut>().map(|Cut(why)| (*why, true))
            }
            Self::NotSent(why) => Some((*why, false)),
            Self::MaybeSent(why) => Some((*why, true)),
        }
    }

    /// The same, where a part of an answer is of no use.
    #[must_use]
    pub fn whole(self) -> Self {
        match self.lost() {
            Some((why, true)) => Self::MaybeSent(why),
            _ => self,
        }
    }
}

/// Shows the status and the length only: headers and bodies hold codes and tokens.
impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Answered(response) => f
                .debug_struct("Answered")
                .field("status", &response.status().as_u16())
                .field("bytes", &response.body().len())
                .finish_non_exhaustive(),
            Self::NotSent(why) => f.debug_tuple("NotSent").field(why).finish(),
            Self::MaybeSent(why) => f.debug_tuple("MaybeSent").field(why).finish(),
        }
    }
}

/// Why there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Why {
    /// The name did not resolve.
    Resolve,
    /// Every address that may be dialled refused or did not answer.
    Connect,
    /// Every address of the name is one that may not be dialled.
    AddressBlocked,
    /// The proxy refused, or could not be spoken to.
    Proxy,
    /// The certificate or the handshake failed.
    Tls,
    /// The server answered a TLS greeting in plain http.
    PlainHttp,
    /// [`Limits::connect`] or [`Limits::total`] ran out.
    Timeout,
    /// The connection broke, or what came is no HTTP.
    Broken,
    /// The head is over [`Limits::head`] or [`Limits::fields`].
    HeadTooLarge,
    /// The head cannot be read.
    HeadMalformed,
    /// The body is over [`Limits::body`].
    BodyTooLarge,
    /// The body is encoded although identity was asked for.
    Encoded,
    /// The client followed a redirect on its own, so the answer is another URL's.
    Redirected,
    /// This machine has no descriptors, memory or disk space left; the server is not to blame.
    Exhausted,
    /// The work was abandoned.
    Abandoned,
}

impl Why {
    /// The kind a failure has for this reason.
    #[must_use]
    pub const fn kind(self) -> Kind {
        match self {
            Self::Resolve | Self::Connect | Self::Broken => Kind::Transient,
            Self::AddressBlocked => Kind::AddressBlocked,
            Self::Proxy => Kind::ProxyRefused,
            Self::Tls | Self::PlainHttp => Kind::Tls,
            Self::Timeout => Kind::Timeout,
            Self::HeadTooLarge => Kind::HeaderTooLarge,
            Self::HeadMalformed => Kind::HeaderMalformed,
            Self::BodyTooLarge => Kind::BodyTooLarge,
            Self::Encoded => Kind::EncodingRefused,
            Self::Redirected => Kind::RedirectRefused,
            Self::Exhausted => Kind::MachineExhausted,
            Self::Abandoned => Kind::Cancelled,
        }
    }

    /// A stable name, in `snake_case`: finer than the code of its kind.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Resolve => "resolve",
            Self::Connect => "connect",
            Self::AddressBlocked => "address_blocked",
            Self::Proxy => "proxy",
            Self::Tls => "tls",
            Self::PlainHttp => "plain_http",
            Self::Timeout => "timeout",
            Self::Broken => "broken",
            Self::HeadTooLarge => "head_too_large",
            Self::HeadMalformed => "head_malformed",
            Self::BodyTooLarge => "body_too_large",
            Self::Encoded => "encoded",
            Self::Redirected => "redirected",
            Self::Exhausted => "exhausted",
            Self::Abandoned => "abandoned",
        }
    }

    /// One sentence for people, without its full stop.
    #[must_use]
    pub const fn sentence(self) -> &'static str {
        match self {
            Self::Resolve => "the name of the server is not known",
            Self::Connect => "nothing listens at the server's address and port",
            Self::PlainHttp => "this port speaks plain http, not TLS",
            Self::Tls => "the TLS connection could not be made or trusted",
            Self::Broken => "the connection broke off, or what came is no HTTP",
            _ => self.kind().sentence(),
        }
    }

    /// The remedy of its kind, unless the reason calls for another.
    #[must_use]
    pub const fn remedy(self) -> Remedy {
        match self {
            Self::PlainHttp => Remedy::Configure,
            _ => self.kind().remedy(),
        }
    }

    /// What to do, in words; `None` where the remedy says all there is.
    #[must_use]
    pub const fn advice(self) -> Option<&'static str> {
        Some(match self {
            Self::Resolve => "check the host's name, and that this machine is online",
            Self::Connect => "start the server, or check its address and port",
            Self::Proxy => "check the proxy's address, and what it wants to be told",
            Self::Tls => "check the URL, and that the server's certificate is valid and known here",
            Self::PlainHttp => {
                "write http:// where the server is meant to be spoken to without TLS"
            }
            Self::Timeout => "try again, and allow more time if the server is slow",
            Self::Broken => "see that an HTTP server is at this address, and try again",
            Self::Exhausted => return Kind::MachineExhausted.advice(),
            _ => return None,
        })
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
    /// Where to listen, and the right to say on which port. The ticket is answered once, when the
    /// port is bound or could not be.
    pub fn split(self) -> (ListenOn, Ticket<Bound>) {
        (self.on, self.ticket)
    }
}

/// Where to listen.
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

/// The loopback host of a redirect URI.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum LoopbackHost {
    /// `127.0.0.1`.
    #[default]
    V4,
    /// `[::1]`.
    V6,
    /// `localhost`, for servers that want it registered so (NAT-03).
    Localhost,
}

impl LoopbackHost {
    /// As a URL writes it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::V4 => "127.0.0.1",
            Self::V6 => "[::1]",
            Self::Localhost => "localhost",
        }
    }
}

/// Whether something listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bound {
    /// On this port.
    Port(u16),
    /// Something else has that port. Whoever does would get the code.
    Taken,
    /// This machine has no descriptors or memory left.
    Exhausted,
    /// Nothing could be bound, for another reason.
    Failed,
}

/// Read or write one record of the credential store.
#[derive(Debug)]
pub struct StoreOp {
    pub(crate) request: StoreRequest,
    pub(crate) ticket: Ticket<Stored>,
}

impl StoreOp {
    /// What to do, and the right to say how it went.
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
    /// What to sign, and the right to answer.
    pub fn split(self) -> (SignRequest, Ticket<Signature>) {
        (self.request, self.ticket)
    }
}

/// What to sign.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignRequest {
    /// The host's own name of the key.
    pub key: String,
    /// A JWS algorithm name.
    pub algorithm: String,
    /// The bytes to sign.
    pub message: Vec<u8>,
}

/// How signing ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Signature {
    /// The raw signature in JWS form.
    Made(Vec<u8>),
    /// The key is not there, or may not be used.
    Unavailable,
}
