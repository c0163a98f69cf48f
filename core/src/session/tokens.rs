//! The grant that an answer of the token endpoint makes, in time or late.

use crate::failure::{Failure, Switch};
use crate::note::Note;
use crate::record::Grant;
use crate::record::fill::fill;
use crate::session::{Now, Session};
use crate::wire::token::{TokenRefusal, Tokens};

impl Session {
    /// The grant that an answer makes of a template. `None` if it brought nothing.
    pub(super) fn filled_by(
        &self,
        template: Grant,
        answer: Result<&Tokens, &TokenRefusal>,
        login: bool,
        now: &mut Now,
    ) -> Option<Grant> {
        match answer {
            Ok(tokens) => Some(self.filled(template, tokens, login, now)),
            Err(refusal) => self.salvaged(template, refusal, login, now),
        }
    }

    /// Fills a template with tokens, and notes what is odd about them (D7, HOST-320).
    fn filled(&self, template: Grant, tokens: &Tokens, login: bool, now: &mut Now) -> Grant {
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

    /// The grant of the tokens that came with a refusal, if any did. The credential that was sent
    /// is spent, so no other tokens will ever come for it (D7, HOST-232).
    fn salvaged(
        &self,
        template: Grant,
        refusal: &TokenRefusal,
        login: bool,
        now: &mut Now,
    ) -> Option<Grant> {
        if let Some(tokens) = &refusal.granted {
            // Strict mode will not use it.
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
