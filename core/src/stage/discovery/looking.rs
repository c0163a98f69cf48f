//! Where a search looks now.

use http::Response;
use serde::{Deserialize, Serialize};

use crate::effect::Purpose;
use crate::failure::{Failure, Kind};
use crate::machine::{Cx, StateName, confused};
use crate::wire::redact::names_secret;
use crate::wire::url::{self, ServerUrl};

/// Redirects followed for one document (SEC-09).
const MOST_HOPS: u8 = 3;

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) enum Looking {
    Nowhere,
    FirstRequest {
        url: ServerUrl,
        /// True if no metadata was found at any guess.
        last: bool,
    },
    Resource {
        url: ServerUrl,
        /// The number of the guess; `None` for the challenge's pointer.
        guess: Option<u8>,
        hops: u8,
    },
    Server {
        url: ServerUrl,
        /// The number of the issuer in the listing; `None` for a legacy server's own origin.
        issuer: Option<u8>,
        candidate: u8,
        hops: u8,
        /// True if an earlier candidate could not answer, so that absence is not definite (ASM-06).
        unsure: bool,
    },
}

impl Looking {
    pub(super) const fn state(&self) -> StateName {
        match self {
            Self::Nowhere => StateName::Start,
            Self::FirstRequest { .. } => StateName::FirstRequest,
            Self::Resource { .. } => StateName::Resource,
            Self::Server { .. } => StateName::Server,
        }
    }

    /// The URL that is being asked, and the purpose.
    pub(super) const fn asked(&self) -> Option<(&ServerUrl, Purpose)> {
        match self {
            Self::Nowhere => None,
            Self::FirstRequest { url, .. } => Some((url, Purpose::FirstRequest)),
            Self::Resource { url, .. } => Some((url, Purpose::ResourceMetadata)),
            Self::Server { url, .. } => Some((url, Purpose::ServerMetadata)),
        }
    }

    /// A failure about the URL that is being asked.
    pub(super) fn about(&self, failure: Failure) -> Failure {
        match self.asked() {
            Some((url, purpose)) => failure.with_purpose(purpose).with_subject(url.shown()),
            None => failure,
        }
    }

    /// Follows a redirect (SEC-09).
    pub(super) fn moves(
        &mut self,
        response: &Response<Vec<u8>>,
        cx: &mut Cx<'_>,
    ) -> Result<(), Failure> {
        let target = match self {
            Self::Nowhere | Self::FirstRequest { .. } => return Err(confused(cx)),
            Self::Resource { hops, .. } | Self::Server { hops, .. } if *hops >= MOST_HOPS => {
                Err(Failure::new(Kind::TooManyRedirects, "SEC-09"))
            }
            Self::Resource { url, .. } | Self::Server { url, .. } => {
                url::resolve_redirect(url, response.headers(), &cx.config.reach)
            }
        };
        let clean = target.and_then(|url| {
            if names_secret(url.as_str(), cx.secrets) {
                return Err(Failure::new(Kind::RedirectRefused, "HOST-325"));
            }
            Ok(url)
        });
        let target = clean.map_err(|failure| self.about(failure))?;
        if let Self::Resource { url, hops, .. } | Self::Server { url, hops, .. } = self {
            *url = target;
            *hops = hops.saturating_add(1);
        }
        Ok(())
    }
}
