//! The grant that an answer of the token endpoint makes, in time or late.

use crate::failure::{Failure, Switch};
use crate::note::Note;
use crate::record::Grant;
use crate::record::fill::fill;
use crate::session::{Now, Session};
use crate::wire::token::{TokenRefusal, Tokens};

impl Session {
    /// The grant that tokens make of a template; what is odd about them is noted (D7, HOST-320).
    pub(super) fn filled(
        &self,
        template: Grant,
        tokens: &Tokens,
        login: bool,
        now: &mut Now,
    ) -> Grant {
        odd(&tokens.notes, now);
        let grant = fill(template, tokens, login, now.wall);
        let named = grant.granted.clone().unwrap_or_else(|| grant.requested.clone());
        now.note(Note::Renewed {
            missing: grant.requested.without(&named),
            unasked: named.without(&grant.requested),
        });
        if !tokens.type_named && !self.config.strict() {
            let switch = Switch::MissingTokenType;
            now.note(Note::Lenient { switch, subject: grant.issuer.to_string() });
        }
        grant
    }

    /// The grant that a refusal leaves, if something came with it: what was sent is spent, and this is
    /// all there will ever be (D7, HOST-232).
    pub(super) fn salvaged(
        &self,
        template: Grant,
        refusal: &TokenRefusal,
        login: bool,
        now: &mut Now,
    ) -> Option<Grant> {
        if let Some(tokens) = &refusal.granted {
            // Strict will not use it.
            let grant = self.filled(template, tokens, login, now);
            return Some(Grant { untyped: true, ..grant });
        }
        let refresh_token = Some(refusal.rescued.clone()?);
        odd(&refusal.notes, now);
        Some(Grant { refresh_token, access_token: None, rejected: false, ..template })
    }
}

/// Notes what was odd about an answer.
fn odd(oddities: &[Failure], now: &mut Now) {
    for failure in oddities {
        let subject = failure.subject().unwrap_or_default().to_owned();
        now.note(Note::Dropped { kind: failure.kind(), rule: failure.rule(), subject });
    }
}
