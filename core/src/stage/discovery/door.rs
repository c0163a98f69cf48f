//! The first request of an MCP session: its answer, and the contents of its refusal.

use core::time::Duration;

use http::HeaderMap;
use serde::{Deserialize, Serialize};

use super::found::Ask;
use crate::config::Config;
use crate::effect::{Purpose, Why};
use crate::failure::{Failure, Kind, Remedy, Setting, Switch};
use crate::machine::Cx;
use crate::note::Note;
use crate::scope::ScopeSet;
use crate::wire::challenge::read_challenge;
use crate::wire::url::ServerUrl;

/// The answer to the first request, unless that was refused.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(super) enum Door {
    #[default]
    Unasked,
    Served,
    Page,
    Other,
    Busy(Option<Duration>),
    Lost(Why),
}

impl Door {
    /// The failure where there is definitely no metadata; `None` if it may be a legacy server.
    pub(super) fn nothing(self, ask: &Ask, config: &Config) -> Option<Failure> {
        if let Some(failure) = self.failure() {
            let url = config.mcp.shown();
            return Some(failure.with_purpose(Purpose::FirstRequest).with_subject(url));
        }
        if !ask.pinned && config.legacy {
            return None;
        }
        let rule = if ask.pinned { "LEG-05" } else { "DISC-11" };
        let failure = Failure::new(Kind::DiscoveryFailed, rule)
            .with_purpose(Purpose::ResourceMetadata)
            .with_setting(Setting::Endpoints, None);
        Some(if ask.pinned {
            failure.with_remedy(Remedy::Report)
        } else if config.legacy_refused {
            failure
        } else {
            failure.with_switch(Switch::LegacyServers)
        })
    }

    /// The failure that the answer means where there is no metadata.
    fn failure(self) -> Option<Failure> {
        let none = || Failure::new(Kind::DiscoveryFailed, "DISC-01");
        Some(match self {
            Self::Unasked => return None,
            Self::Served => Failure::new(Kind::NotRequired, "DISC-01"),
            Self::Page => none().with_hint("a web page, not an MCP endpoint: is the path right?"),
            Self::Other => none().with_hint("no MCP endpoint answers there: is the URL right?"),
            Self::Busy(after) => {
                Failure::new(Kind::Transient, "DISC-09").with_remedy(Remedy::Retry { after })
            }
            Self::Lost(why) => unanswered(why),
        })
    }
}

/// The failure of a URL that did not answer.
pub(super) fn unanswered(why: Why) -> Failure {
    let kind = if why == Why::Timeout { Kind::Transient } else { why.kind() };
    Failure::new(kind, "DISC-09").with_cause(why).with_remedy(why.remedy())
}

/// The contents of a refusal: the scopes it wants, and the URL of the metadata.
pub(super) struct Wanted {
    pub(super) scopes: Option<ScopeSet>,
    pub(super) pointer: Option<ServerUrl>,
}

/// Reads the challenge of a refusal; `None` if it has none.
pub(super) fn wanted(headers: &HeaderMap, cx: &mut Cx<'_>) -> Option<Wanted> {
    let read = read_challenge(headers, false)?;
    for (kind, rule) in read.faults() {
        cx.note(Note::Dropped { kind, rule, subject: "WWW-Authenticate".to_owned() });
    }
    let kind = Kind::HeaderMalformed;
    let scopes = cx.clean_scopes(read.scopes().and_then(Result::ok), kind, "scope");
    let pointer = read
        .resource_metadata
        .map(|text| text.to_string())
        .filter(|text| !cx.names_secret(text, kind, "resource_metadata"))
        .map(|text| ServerUrl::read(&text, "resource_metadata", &cx.config.reach));
    let pointer = match pointer {
        Some(Ok(url)) => Some(url),
        Some(Err(failure)) => {
            cx.dropped(&failure);
            None
        }
        None => None,
    };
    Some(Wanted { scopes, pointer })
}

/// Returns true if the URL might answer later, so that nothing is known about its document now.
pub(super) fn retryable(kind: Kind) -> bool {
    kind.remedy().retryable() || kind == Kind::Tls
}
