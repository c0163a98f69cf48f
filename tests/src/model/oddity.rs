//! Servers with one known oddity each, and what becomes of a client that meets one.
//!
//! Each is the honest server of [`Settings::default`] with few fields changed, so that the simulator, the sockets of
//! `mcp_oauth_server --oddity NAME` and `tests/interop` play the same. A setting that stands for something seen at a
//! real server gets a line in one of the lists here; what is expected of a client stands beside it.

mod clients;
mod documents;
mod resource;
mod tokens;

use std::fmt;

use mcp_authz_core::failure::Kind;

use super::Settings;

/// A server that departs from the honest one in one way.
#[derive(Clone, Copy, Debug)]
pub struct Oddity {
    /// Its name: words of lower case with hyphens between.
    pub name: &'static str,
    /// The server's behaviour, as a sentence without its subject.
    pub about: &'static str,
    /// The end of a run that has nothing stored.
    pub first: End,
    /// The end of the next run on the same store. Access tokens that live for seconds are over by then.
    pub again: Option<End>,
    /// The end of the run after that, where it differs from the run before.
    pub later: Option<End>,
    change: fn(&mut Settings),
}

/// How a run of a client ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The tools are listed after one page was shown to a person.
    LogsIn,
    /// The tools are listed after a refresh, and no page was shown.
    Renews,
    /// The tools are listed with what was stored.
    Holds,
    /// The tools are listed without any token.
    Open,
    /// Nothing is listed: the person sees a page of the server's own, and nobody comes back.
    Stuck,
    /// Nothing is listed, for this reason.
    Fails(Kind),
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::LogsIn => "login",
            Self::Renews => "renewed",
            Self::Holds => "held",
            Self::Open => "open",
            Self::Stuck => "stuck",
            Self::Fails(kind) => kind.code(),
        })
    }
}

impl Oddity {
    /// All there are.
    pub fn all() -> impl Iterator<Item = &'static Self> {
        [documents::ALL, resource::ALL, clients::ALL, tokens::ALL].into_iter().flatten()
    }

    /// The one of this name.
    pub fn named(name: &str) -> Option<&'static Self> {
        Self::all().find(|oddity| oddity.name == name)
    }

    /// Makes an honest server odd. Where the server stands must have been said before, see [`Settings::at`].
    pub fn apply(&self, settings: &mut Settings) {
        (self.change)(settings);
    }

    /// One that lets a person in, whose token then is good for a long time.
    const fn lets_in(name: &'static str, about: &'static str, change: fn(&mut Settings)) -> Self {
        Self { name, about, first: End::LogsIn, again: Some(End::Holds), later: None, change }
    }

    /// One at which no login succeeds.
    const fn fails(
        name: &'static str,
        about: &'static str,
        kind: Kind,
        change: fn(&mut Settings),
    ) -> Self {
        Self { name, about, first: End::Fails(kind), again: None, later: None, change }
    }

    /// The same with another end of the next run.
    const fn then(mut self, again: End) -> Self {
        self.again = Some(again);
        self
    }

    /// The same with the end of the run after that.
    const fn later(mut self, later: End) -> Self {
        self.later = Some(later);
        self
    }
}

/// Access tokens live so long where a run after their end is to be seen.
const SHORT_S: u64 = 3;

/// Access tokens that are over soon, at each authorization server.
fn short(settings: &mut Settings) {
    for server in settings.servers_mut() {
        server.tokens.access_life_s = SHORT_S;
    }
}
