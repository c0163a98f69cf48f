//! The facts that are known before the search, and its result.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::documents;
use crate::failure::{Failure, Switch};
use crate::machine::Cx;
use crate::note::{Choice, Note};
use crate::record::Class;
use crate::scope::ScopeSet;
use crate::wire::metadata::ServerMetadata;
use crate::wire::url::ServerUrl;
use crate::wire::well_known;

/// The facts that are known before the search.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Ask {
    /// The challenge's `resource_metadata`, if it passed the URL rules.
    pub(crate) pointer: Option<ServerUrl>,
    /// The listed issuer of the record so far.
    pub(crate) bound: Option<Arc<str>>,
    /// True if the resource has shown metadata before. It is never taken for a legacy server again
    /// (LEG-05).
    pub(crate) pinned: bool,
    /// True to look only whether the bound issuer is still listed (BIND-05).
    pub(crate) listing_only: bool,
    /// True if the MCP URL has answered 401. Without metadata nothing is registered on a guess
    /// unless it has (D18).
    #[serde(default)]
    pub(crate) refused: bool,
    /// True if nobody has asked the MCP URL for anything yet, so that such a request comes first.
    #[serde(default)]
    pub(crate) knocks: bool,
}

/// The result of the search.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Looked {
    /// The bound issuer is still listed.
    StillListed,
    /// The bound issuer is no longer listed; this one stands first now.
    Moved { to: Arc<str> },
    /// An authorization server.
    Found(Box<Found>),
}

/// An authorization server and what led to it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Found {
    pub(crate) class: Class,
    /// The raw `resource` of the metadata; `None` without metadata (RES-03).
    pub(crate) resource: Option<Arc<str>>,
    pub(crate) scopes_supported: Option<ScopeSet>,
    /// The issuer as it was listed, byte for byte.
    pub(crate) listed: Arc<str>,
    pub(crate) server: ServerMetadata,
    /// True if no document names the endpoints: they are the default ones of 2025-03-26 (LEG-03).
    #[serde(default)]
    pub(crate) guessed: bool,
    /// The scopes that the refusal of the first request named.
    #[serde(default)]
    pub(crate) challenged: Option<ScopeSet>,
}

impl Found {
    /// The server that the person has described.
    pub(super) fn given(
        server: &ServerMetadata,
        resource: Option<Arc<str>>,
        scopes_supported: Option<ScopeSet>,
        cx: &mut Cx<'_>,
    ) -> Self {
        if let Some(resource) = &resource {
            documents::chose(resource, cx);
        }
        let listed = Arc::clone(&server.issuer);
        cx.note(Note::Chose(Choice::Server { issuer: Arc::clone(&listed), document: None }));
        let class = if resource.is_some() { Class::Resource } else { Class::Legacy };
        let (server, guessed, challenged) = (server.clone(), false, None);
        Self { class, resource, scopes_supported, listed, server, guessed, challenged }
    }

    /// A legacy server without a document.
    pub(super) fn guessed(cx: &mut Cx<'_>) -> Result<Self, Failure> {
        let server = well_known::legacy_server(&cx.config.mcp, &cx.config.reach)?;
        let listed = Arc::clone(&server.issuer);
        cx.lenient(Switch::LegacyServers, &listed);
        cx.note(Note::Chose(Choice::Server { issuer: Arc::clone(&listed), document: None }));
        let (class, guessed) = (Class::Legacy, true);
        let (resource, scopes_supported, challenged) = (None, None, None);
        Ok(Self { class, resource, scopes_supported, listed, server, guessed, challenged })
    }
}
