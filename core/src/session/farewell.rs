//! How the tokens of a grant are given back, and how far log-outs have come with that.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::effect::Revoked;
use crate::failure::{Failure, Kind};
use crate::rare::Absent;
use crate::record::Grant;
use crate::stage::revocation::{self, Ask};

/// How the tokens of a grant are given back.
#[derive(Clone, Debug)]
pub(crate) enum Farewell {
    /// They are sent to the server in this request.
    Ask(Box<revocation::Ask>),
    /// The server does not take them.
    NotOffered,
}

/// The progress of the log-outs whose outcome has not been told yet.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct LogOut {
    /// True if there is such a log-out.
    pub(super) asked: bool,
    /// The tokens that go to the server, in this order; the first may be under way.
    pub(crate) to_revoke: Vec<Ask>,
    /// True if the server does not take some of the tokens.
    pub(super) not_offered: bool,
    /// True if the server has taken tokens back.
    pub(super) done: bool,
    /// The kind of the last failure to give tokens back.
    pub(super) failed: Option<Kind>,
    /// That failure itself, which a snapshot does not keep.
    #[serde(skip)]
    pub(super) said: Option<Arc<Failure>>,
}

impl Absent for LogOut {
    const ABSENT: &'static Self = &Self {
        asked: false,
        to_revoke: Vec::new(),
        not_offered: false,
        done: false,
        failed: None,
        said: None,
    };

    fn is_absent(&self) -> bool {
        let Self { asked, to_revoke, not_offered, done, failed, said } = self;
        let told = !asked && !not_offered && !done && failed.is_none() && said.is_none();
        told && to_revoke.is_empty()
    }
}

impl LogOut {
    /// Notes that the tokens of a grant are to be given back, once.
    pub(crate) fn give_back(&mut self, farewell: &Farewell, grant: &Grant) {
        if grant.access_token.is_none() && grant.refresh_token.is_none() {
            return;
        }
        match farewell {
            Farewell::NotOffered => self.not_offered |= self.asked,
            Farewell::Ask(ask) => {
                let ask = ask.for_tokens_of(grant);
                let same = |other: &Ask| {
                    other.refresh_token == ask.refresh_token
                        && other.access_token == ask.access_token
                };
                if !self.to_revoke.iter().any(same) {
                    self.to_revoke.push(ask);
                }
            }
        }
    }

    /// The outcome of giving the tokens back.
    pub(super) fn revoked(&mut self) -> Revoked {
        let unsaid = || self.failed.map(|kind| Arc::new(Failure::new(kind, "REVK-04")));
        match self.said.take().or_else(unsaid) {
            Some(failure) => Revoked::Failed(failure),
            None if self.not_offered => Revoked::NotOffered,
            None if self.done => Revoked::Done,
            None => Revoked::Nothing,
        }
    }
}
