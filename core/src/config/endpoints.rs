//! An authorization server that the person describes, where no document does (DISC-11, ASM-21).
//!
//! Decides whether the named endpoints may be used: each URL must pass the rules of a document's
//! URLs. The proofs of a document are not asked for: the person says which server it is, on
//! whatever hosts, and S256 is sent in any case (LEG-07).

use super::invalid;
use crate::failure::{Failure, Remedy};
use crate::wire::metadata::{ServerMetadata, check_given_endpoints};
use crate::wire::url::{Reach, ServerUrl};

const AUTHORIZATION: &str = "authorization_endpoint";
const TOKEN: &str = "token_endpoint";
const RULE: &str = "ASM-21";

/// The endpoints and the issuer as they were named, not checked yet.
#[derive(Clone, Debug, Default)]
pub(super) struct Endpoints {
    pub(super) issuer: Option<String>,
    pub(super) authorization: Option<String>,
    pub(super) token: Option<String>,
    pub(super) registration: Option<String>,
    pub(super) revocation: Option<String>,
}

impl Endpoints {
    /// The server that they describe; none if nothing was named.
    pub(super) fn read(
        &self,
        reach: &Reach,
        strict: bool,
    ) -> Result<Option<ServerMetadata>, Failure> {
        let Self { issuer, authorization, token, registration, revocation } = self;
        let rest = [issuer, token, registration, revocation];
        let Some(authorization) = authorization else {
            if rest.into_iter().all(Option::is_none) {
                return Ok(None);
            }
            return Err(alone(AUTHORIZATION));
        };
        let Some(token) = token else { return Err(alone(TOKEN)) };
        let configured = |failure: Failure| failure.with_remedy(Remedy::Configure);
        let endpoint = |url: &str, field| ServerUrl::read_endpoint(url, field, reach);
        let optional = |url: &Option<String>, field| {
            url.as_deref().map(|url| endpoint(url, field)).transpose().map_err(configured)
        };
        let authorization_endpoint = endpoint(authorization, AUTHORIZATION).map_err(configured)?;
        // The issuer is only compared, and never asked for anything.
        let issuer = match issuer {
            Some(issuer) => ServerUrl::read_issuer(issuer, "endpoints_issuer", reach)
                .map_err(configured)?
                .text(),
            None => authorization_endpoint.origin().into(),
        };
        let token = endpoint(token, TOKEN).map_err(configured)?;
        let server = ServerMetadata {
            registration_endpoint: optional(registration, "registration_endpoint")?,
            revocation_endpoint: optional(revocation, "revocation_endpoint")?,
            ..ServerMetadata::undescribed(issuer, authorization_endpoint, token)
        };
        check_given_endpoints(&server, strict)?;
        Ok(Some(server))
    }
}

/// The failure of a server with one of these two endpoints and not the other.
fn alone(missing: &'static str) -> Failure {
    invalid(&format!("{missing}: {AUTHORIZATION} and {TOKEN} go together"), RULE)
}
