//! The outcomes of work, by which its tickets are answered.

use core::fmt;

use serde::{Deserialize, Serialize};

use crate::kind::{Kind, Remedy};

/// Names one piece of work. Random, since a counter would collide between a session and its
/// restored copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TicketId(pub(crate) u64);

/// How a request ended.
pub enum Reply {
    /// A whole answer within the limits; the body is unparsed. See also [`Reply::cut`].
    Answered(http::Response<Vec<u8>>),
    /// Certainly no byte of the request left this machine's side of the connection.
    NotSent(Why),
    /// Anything else: the server may have acted on it.
    MaybeSent(Why),
}

/// Marks an answer whose body was cut off, in its extensions, and says why it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Cut(Why);

impl Reply {
    /// An answer whose head came whole and whose body did not. The part that came may hold a token
    /// that nobody can ask for again (D19). Everywhere else the answer counts as
    /// [`Reply::MaybeSent`].
    #[must_use]
    pub fn cut(mut response: http::Response<Vec<u8>>, why: Why) -> Self {
        response.extensions_mut().insert(Cut(why));
        Self::Answered(response)
    }

    /// Why there is no whole answer, and whether the request may have been sent all the same.
    #[must_use]
    pub(crate) fn lost(&self) -> Option<(Why, bool)> {
        match self {
            Self::Answered(response) => {
                response.extensions().get::<Cut>().map(|Cut(why)| (*why, true))
            }
            Self::NotSent(why) => Some((*why, false)),
            Self::MaybeSent(why) => Some((*why, true)),
        }
    }

    /// The same reply, with [`Reply::MaybeSent`] for a cut answer. It is for places where a part of
    /// an answer is of no use.
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
    /// The proxy wants a user name and a password, or does not accept the given ones.
    ProxyPassword,
    /// The proxy has no known address, or nothing listens there.
    ProxyUnreached,
    /// The proxy says that it could not reach the server.
    ProxyFailed,
    /// A proxy would look the name up, which [`Limits::proxy`](crate::effect::Limits::proxy) forbids.
    ProxyForbidden,
    /// The certificate or the handshake failed.
    Tls,
    /// The server answered a TLS greeting in plain http.
    PlainHttp,
    /// The limit of the connection or of the whole request ran out.
    Timeout,
    /// The connection broke, or what came is no HTTP.
    Broken,
    /// The head is over a limit: its bytes, or its fields.
    HeadTooLarge,
    /// The head cannot be read.
    HeadMalformed,
    /// The body is over its limit.
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
            Self::Proxy | Self::ProxyPassword | Self::ProxyUnreached | Self::ProxyFailed => {
                Kind::ProxyRefused
            }
            Self::ProxyForbidden => Kind::ProxyForbidden,
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
            Self::ProxyPassword => "proxy_password",
            Self::ProxyUnreached => "proxy_unreached",
            Self::ProxyFailed => "proxy_failed",
            Self::ProxyForbidden => "proxy_forbidden",
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
            Self::ProxyPassword => "the proxy wants a user name and a password that it knows",
            Self::ProxyUnreached => "the proxy's name is not known, or nothing listens there",
            Self::ProxyFailed => "the proxy could not reach the server",
            Self::PlainHttp => "this port speaks plain http, not TLS",
            Self::Tls => "the TLS connection could not be made or trusted",
            Self::Broken => "the connection broke off, or what came is no HTTP",
            _ => self.kind().sentence(),
        }
    }

    /// Returns true if the server was not reached.
    pub(crate) const fn is_before_the_server(self) -> bool {
        matches!(self, Self::Resolve | Self::Connect | Self::AddressBlocked | Self::Tls)
            || matches!(self.kind(), Kind::ProxyRefused | Kind::ProxyForbidden)
    }

    /// The remedy of its kind, unless the reason calls for another.
    #[must_use]
    pub const fn remedy(self) -> Remedy {
        match self {
            Self::PlainHttp => Remedy::Configure,
            _ => self.kind().remedy(),
        }
    }

    /// The advice in words; `None` where the remedy says all there is.
    #[must_use]
    pub(crate) const fn advice(self) -> Option<&'static str> {
        Some(match self {
            Self::Resolve => "check the host's name, and that this machine is online",
            Self::Connect => "start the server, or check its address and port",
            Self::Proxy => "check that it is an http proxy, and which hosts it lets through",
            Self::ProxyUnreached => "check the proxy's address and port",
            Self::ProxyFailed => "check the URL: the proxy may not know its name or reach its port",
            Self::ProxyPassword => "write user and password into the proxy's URL, before its host",
            Self::ProxyForbidden => {
                "reach the server without a proxy, or switch on that a proxy looks names up"
            }
            Self::Tls => {
                "check the URL, and that the server's certificate is valid; a company's own \
                 certificate authority has to be added"
            }
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

/// The outcome of listening.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bound {
    /// A listener is bound to this port.
    Port(u16),
    /// Another program has that port, and would get the code.
    Taken,
    /// This machine has no descriptors or memory left.
    Exhausted,
    /// Nothing could be bound, for another reason.
    Failed,
}

/// How signing ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Signature {
    /// The raw signature in JWS form.
    Made(Vec<u8>),
    /// The key is not there, or may not be used.
    Unavailable,
}
