//! The three records, each one versioned document (BIND-10).
//!
//! A store sees opaque bytes under a key. What is read back is hostile: its format, its shape and
//! that it belongs to its key are checked before anything of it is used. Unknown members survive a
//! rewrite.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::effect::{Bytes, Key, Record, RecordKind, StoreRequest};
use crate::failure::Kind;
use crate::rare::Rare;
use crate::scope::ScopeSet;
use crate::secret::{AccessToken, Secret, written_option};
use crate::time::Timestamp;
use crate::wire::client_auth::{Credentials, Method};
use crate::wire::registration::Management;
use crate::wire::url::{Reach, ServerUrl};

/// The newest format this version writes, and the newest it reads.
pub(crate) const FORMAT: u32 = 1;

/// Members of a newer version, kept and never shown: nobody here knows which are secret.
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Unknown(Rare<BTreeMap<String, serde_json::Value>>);

impl core::fmt::Debug for Unknown {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Unknown({})", self.0.len())
    }
}

/// A record in memory, and the generation the store has of it; `None` if it has none.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Held<T> {
    pub(crate) value: T,
    pub(crate) generation: Option<u64>,
}

impl<T> Held<T> {
    pub(crate) const fn new(value: T) -> Self {
        Self { value, generation: None }
    }
}

/// The class of a server: which rules found its authorization server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Class {
    /// It serves protected resource metadata (2025-06-18 and later). Never downgraded (LEG-05).
    Resource,
    /// It is its own authorization server (2025-03-26).
    Legacy,
}

/// How the client of a record came to be one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Way {
    /// By configuration.
    PreRegistered,
    /// By a metadata document.
    Document,
    /// By dynamic registration; there is a client record.
    Dynamic,
}

/// What an MCP URL and account led to.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Binding {
    pub(crate) format: u32,
    pub(crate) mcp_url: Arc<str>,
    pub(crate) account: Arc<str>,
    pub(crate) class: Class,
    /// The issuer as the resource lists it; decides "still listed" (AMB-05).
    pub(crate) listed: Arc<str>,
    /// The issuer as its own document writes it; decides `iss`, keys and storage.
    pub(crate) issuer: Arc<str>,
    /// The resource of the key of the grant: the metadata's string, or the canonical MCP URL.
    pub(crate) resource: Arc<str>,
    pub(crate) client_id: Arc<str>,
    pub(crate) way: Way,
    pub(crate) method: Method,
    pub(crate) redirect_set: Arc<str>,
    #[serde(flatten)]
    pub(crate) unknown: Unknown,
}

/// Credentials from a dynamic registration, for one issuer and redirect set.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Client {
    pub(crate) format: u32,
    pub(crate) issuer: Arc<str>,
    pub(crate) redirect_set: Arc<str>,
    pub(crate) credentials: Credentials,
    /// When the secret ends (REG-14).
    pub(crate) expires: Option<Timestamp>,
    /// The server has said that it does not know this client (REG-21).
    pub(crate) stale: bool,
    /// `registration_access_token` and `registration_client_uri` (REG-19).
    pub(crate) management: Option<Box<Management>>,
    #[serde(flatten)]
    pub(crate) unknown: Unknown,
}

/// Tokens of one issuer for one resource, client and account.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Grant {
    pub(crate) format: u32,
    pub(crate) issuer: Arc<str>,
    pub(crate) resource: Arc<str>,
    pub(crate) client_id: Arc<str>,
    pub(crate) account: Arc<str>,
    #[serde(with = "written_option")]
    pub(crate) access_token: Option<AccessToken>,
    #[serde(with = "written_option")]
    pub(crate) refresh_token: Option<Secret>,
    /// When the access token ends; `None` if nobody knows.
    pub(crate) expires: Option<Timestamp>,
    /// How long it was to live from receipt, in seconds.
    pub(crate) lifetime: Option<u64>,
    /// Random; tells what has been renewed since a login from what came by another one.
    #[serde(default)]
    pub(crate) login: Option<Arc<str>>,
    /// Everything ever asked for in this grant.
    pub(crate) requested: Arc<ScopeSet>,
    /// What the server said it granted.
    pub(crate) granted: Option<Arc<ScopeSet>>,
    /// The `resource` parameter as it was sent; `None` if it was left out (RES-08).
    pub(crate) resource_parameter: Option<Arc<str>>,
    /// As verified when the code was exchanged; later steps use no other (BIND-08, TOK-03).
    pub(crate) token_endpoint: ServerUrl,
    pub(crate) revocation_endpoint: Option<ServerUrl>,
    /// The refresh token was refused: kept, never sent again (REF-08).
    pub(crate) rejected: bool,
    /// Whether Strict keeps the access token unused because its type was not named (D7).
    pub(crate) untyped: bool,
    #[serde(flatten)]
    pub(crate) unknown: Unknown,
}

/// A document that knows its key.
pub(crate) trait Document: Serialize + DeserializeOwned {
    fn key(&self) -> Key;

    /// Whether its URLs are such as may be used today: a store can be edited, and a switch that was
    /// on when it was written can be off (SEC-05).
    fn sound(&self, _: &Reach) -> bool {
        true
    }

    /// The store operation that writes it.
    fn swap(&self, expected: Option<u64>, generation: u64) -> StoreRequest {
        // Writing to memory cannot fail for these types; an empty record is refused on reading.
        let bytes = Bytes(serde_json::to_vec(self).unwrap_or_default());
        StoreRequest::Swap { key: self.key(), expected, record: Record { generation, bytes } }
    }
}

/// Reads a record and checks that it is of a known format and belongs to its key.
///
/// # Errors
/// `store_version` for a newer format, `store_corrupt` for anything else; the stored bytes are
/// never overwritten because of either.
pub(crate) fn read<T: Document>(bytes: &Bytes, key: &Key) -> Result<T, Kind> {
    #[derive(Deserialize)]
    struct Head {
        format: u32,
    }
    let head: Head = serde_json::from_slice(&bytes.0).map_err(|_| Kind::StoreCorrupt)?;
    if head.format > FORMAT {
        return Err(Kind::StoreVersion);
    }
    let document: T = serde_json::from_slice(&bytes.0).map_err(|_| Kind::StoreCorrupt)?;
    if document.key() == *key { Ok(document) } else { Err(Kind::StoreCorrupt) }
}

fn key(kind: RecordKind, names: &[&str]) -> Key {
    Key { kind, name: serde_json::to_string(names).unwrap_or_default() }
}

pub(crate) fn binding_key(mcp_url: &str, account: &str) -> Key {
    key(RecordKind::Binding, &[mcp_url, account])
}

pub(crate) fn client_key(issuer: &str, redirect_set: &str) -> Key {
    key(RecordKind::Client, &[issuer, redirect_set])
}

pub(crate) fn grant_key(issuer: &str, resource: &str, client_id: &str, account: &str) -> Key {
    key(RecordKind::Grant, &[issuer, resource, client_id, account])
}

impl Document for Binding {
    fn key(&self) -> Key {
        binding_key(&self.mcp_url, &self.account)
    }
}

impl Document for Client {
    fn key(&self) -> Key {
        client_key(&self.issuer, &self.redirect_set)
    }
}

impl Document for Grant {
    fn key(&self) -> Key {
        grant_key(&self.issuer, &self.resource, &self.client_id, &self.account)
    }

    fn sound(&self, reach: &Reach) -> bool {
        let revocation = self.revocation_endpoint.as_ref();
        self.token_endpoint.recheck("token_endpoint", reach).is_ok()
            && revocation.is_none_or(|url| url.recheck("revocation_endpoint", reach).is_ok())
    }
}
