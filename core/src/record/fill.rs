//! Grants are filled with tokens here.

use std::sync::Arc;

use super::Grant;
use crate::time::Timestamp;
use crate::wire::token::Tokens;

/// Fills a grant with the tokens that came for it (TOK-08, SCOPE-12, REF-03, REF-14).
pub(crate) fn fill(template: Grant, tokens: &Tokens, login: bool, wall: Timestamp) -> Grant {
    let lifetime = tokens.lifetime;
    let asked = &template.requested;
    let granted = match (&tokens.scope, login) {
        (Some(scope), _) if *scope == **asked => Some(Arc::clone(asked)),
        (Some(scope), _) => Some(Arc::new(scope.clone())),
        (None, false) => template.granted,
        (None, true) => Some(Arc::clone(asked)).filter(|scopes| !scopes.is_empty()),
    };
    Grant {
        access_token: Some(tokens.access_token.clone()),
        refresh_token: tokens.refresh_token.clone().or(template.refresh_token),
        expires: lifetime.filter(|_| wall.plausible()).map(|life| wall.after(life)),
        lifetime: lifetime.map(|life| life.as_secs()),
        granted,
        rejected: false,
        untyped: !tokens.type_named,
        ..template
    }
}
