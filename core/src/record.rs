//! The three records, each one versioned document (BIND-10).
//!
//! A store sees opaque bytes under a key. Bytes that are read back are hostile: their format, their
//! shape and their key are checked before anything of them is used. Unknown members survive a
//! rewrite.

pub(crate) mod fill;
pub(crate) mod merge;
mod texts;

use core::num::NonZeroU16;
use core::time::Duration;
use std::collections::BTreeMap;
use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::effect::{Bytes, Key, Record, RecordKind, StoreRequest};
use crate::failure::{Failure, Kind};
use crate::rare::{Absent, Rare};
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

/// The issuer, the resource and the client that an MCP URL and account led to.
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
    /// True if the server has said that it does not know this client (REG-21).
    pub(crate) stale: bool,
    /// The port of the redirect URI that was registered, if it was a listener's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) port: Option<NonZeroU16>,
    #[serde(flatten)]
    pub(crate) aside: Rare<Aside>,
    #[serde(flatten)]
    pub(crate) unknown: Unknown,
}

/// The parts of a client record that most registrations do not have.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Aside {
    /// `registration_access_token` and `registration_client_uri` (REG-19).
    pub(crate) management: Option<Management>,
    /// Logins in a row that ended without any callback (REG-93).
    #[serde(skip_serializing_if = "is_zero")]
    pub(crate) silent: u8,
    /// The registration is not replaced because of silent logins before this, however many there
    /// are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) again_after: Option<Timestamp>,
    /// The scopes that were registered (REG-91).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) scopes: Option<Arc<ScopeSet>>,
    /// Registrations that this one has replaced, oldest first; a grant may still name them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) earlier: Vec<Earlier>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
const fn is_zero(count: &u8) -> bool {
    *count == 0
}

impl Absent for Aside {
    const ABSENT: &'static Self =
        &Self { management: None, silent: 0, again_after: None, scopes: None, earlier: Vec::new() };

    fn is_absent(&self) -> bool {
        let Self { management, silent, again_after, scopes, earlier } = self;
        let plain = management.is_none() && *silent == 0 && again_after.is_none();
        plain && scopes.is_none() && earlier.is_empty()
    }
}

/// A registration that was replaced.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Earlier {
    pub(crate) credentials: Credentials,
    pub(crate) expires: Option<Timestamp>,
    /// True if the server had said that it does not know this registration, which no process sends
    /// any more.
    pub(crate) stale: bool,
}

/// Silent logins in a row that make a registration doubtful (REG-93).
const MOST_SILENT: u8 = 2;
/// Replaced registrations that are kept.
const MOST_EARLIER: usize = 8;
/// A registration is not replaced because of a doubt before it is this old.
const SETTLED: Duration = Duration::from_secs(24 * 3600);

/// Returns true if a registration may be used: the server has not said that it does not know it
/// (REG-21), and its secret has not ended (REG-14).
fn may_be_used(stale: bool, secret_ends: Option<Timestamp>, now: Timestamp) -> bool {
    !stale && secret_ends.is_none_or(|end| now < end)
}

impl Client {
    /// Returns true if this registration may be used.
    pub(crate) fn usable(&self, now: Timestamp) -> bool {
        may_be_used(self.stale, self.expires, now)
    }

    /// Returns true if a new login makes a new registration. The server may have forgotten this one
    /// and show an error page of its own (REG-93). Refreshes go on with this one.
    pub(crate) fn doubted(&self, now: Timestamp) -> bool {
        self.aside.silent >= MOST_SILENT && self.aside.again_after.is_none_or(|at| at <= now)
    }

    /// Counts a login that ended without any callback. One is enough for a doubt if logins with
    /// this registration succeeded before.
    pub(crate) fn unanswered(&mut self, succeeded: bool) {
        let more = self.aside.silent.saturating_add(1);
        self.aside.silent = if succeeded { MOST_SILENT } else { more.min(MOST_SILENT) };
    }

    /// Ends the count of silent logins: a callback came, so the server knows this registration.
    pub(crate) fn answered(&mut self) {
        if self.aside.silent != 0 {
            self.aside.silent = 0;
            self.aside.tidy();
        }
    }

    /// Notes that a login with this registration brought a grant. Unless the registration took the
    /// place of another one, it may be doubted from now on.
    pub(crate) fn succeeded(&mut self) {
        self.answered();
        if self.aside.earlier.is_empty() && self.aside.again_after.is_some() {
            self.aside.again_after = None;
            self.aside.tidy();
        }
    }

    /// Begins a registration that was made just now, in the place of another one if there was one.
    pub(crate) fn begins(&mut self, before: Option<&Self>, now: Timestamp) {
        self.aside.again_after = now.plausible().then(|| now.after(SETTLED));
        if let Some(before) = before {
            self.keep(before);
        }
    }

    /// Keeps the registrations of another record of the same key, which this one is written over.
    pub(crate) fn keep(&mut self, other: &Self) {
        let last = Earlier {
            credentials: other.credentials.clone(),
            expires: other.expires,
            stale: other.stale,
        };
        for it in other.aside.earlier.iter().chain(core::iter::once(&last)) {
            let id = &it.credentials.client_id;
            if self.credentials.client_id != *id && self.earlier(id).is_none() {
                self.aside.earlier.push(it.clone());
            }
        }
        let surplus = self.aside.earlier.len().saturating_sub(MOST_EARLIER);
        if surplus > 0 {
            self.aside.earlier.drain(..surplus);
        }
    }

    /// A registration that this one has replaced.
    pub(crate) fn earlier(&self, client_id: &str) -> Option<&Earlier> {
        self.aside.earlier.iter().find(|it| *it.credentials.client_id == *client_id)
    }

    /// The credentials that refresh a grant. They may be those of a registration that was replaced.
    pub(crate) fn credentials_of(&self, client_id: &str, now: Timestamp) -> Option<&Credentials> {
        let (credentials, expires, stale) = if *self.credentials.client_id == *client_id {
            (&self.credentials, self.expires, self.stale)
        } else {
            let earlier = self.earlier(client_id)?;
            (&earlier.credentials, earlier.expires, earlier.stale)
        };
        may_be_used(stale, expires, now).then_some(credentials)
    }
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
    /// A random name of the login. Every renewal keeps it, and every other login has another one.
    #[serde(default)]
    pub(crate) login: Option<Arc<str>>,
    /// All scopes that were ever asked for in this grant.
    pub(crate) requested: Arc<ScopeSet>,
    /// The scopes that the server said it granted.
    pub(crate) granted: Option<Arc<ScopeSet>>,
    /// The `resource` parameter as it was sent; `None` if it was left out (RES-08).
    pub(crate) resource_parameter: Option<Arc<str>>,
    /// The token endpoint as verified when the code was exchanged; later steps use no other
    /// (BIND-08, TOK-03).
    pub(crate) token_endpoint: ServerUrl,
    pub(crate) revocation_endpoint: Option<ServerUrl>,
    /// True if the refresh token was refused: it is kept, and never sent again (REF-08).
    pub(crate) rejected: bool,
    /// True if the server did not name the type of the access token, which Strict then keeps unused
    /// (D7).
    pub(crate) untyped: bool,
    #[serde(flatten)]
    pub(crate) unknown: Unknown,
}

/// A document that knows its key.
pub(crate) trait Document: Serialize + DeserializeOwned {
    fn key(&self) -> Key;

    /// Returns true if its URLs may be used today. A store can be edited, and a switch that was on
    /// when the record was written can be off now (SEC-05).
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
        self.recheck(reach).is_ok()
    }
}

impl Grant {
    /// Returns true if both grants have the same key, and so the same record.
    pub(crate) fn shares_record(&self, other: &Self) -> bool {
        self.issuer == other.issuer
            && self.resource == other.resource
            && self.client_id == other.client_id
            && self.account == other.account
    }

    /// Returns true if the access token's lifetime is over. A broken clock never says so
    /// (HOST-312).
    pub(crate) fn expired(&self, now: Timestamp) -> bool {
        self.expires.is_some_and(|end| now.plausible() && end <= now)
    }

    /// Checks its endpoints by today's switches, since they may have been recorded under others
    /// (SEC-05).
    pub(crate) fn recheck(&self, reach: &Reach) -> Result<(), Failure> {
        self.token_endpoint.recheck("token_endpoint", reach)?;
        let revocation = self.revocation_endpoint.as_ref();
        revocation.map_or(Ok(()), |url| url.recheck("revocation_endpoint", reach))
    }
}
