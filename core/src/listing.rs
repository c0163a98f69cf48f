//! The contents of a store: the servers, their accounts, and the state of each account.
//!
//! Decides what may be said of a record to a person; nothing secret may. Refuses to decide whether
//! a grant is used, which a session does when it has read it itself. A record that is read is as
//! hostile here as there.

use core::fmt;
use std::collections::BTreeMap;

use crate::config::{Config, ConfigBuilder, DEFAULT_ACCOUNT};
use crate::effect::{Key, Record, RecordKind};
use crate::failure::{Kind, escaped};
use crate::record::{self, Binding, Grant};
use crate::time::Timestamp;
use crate::wire::url::McpUrl;

/// One account at one server, as the store knows it.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Entry {
    /// The MCP URL in its canonical form. Its query may hold a key of the person's: show the entry,
    /// not this.
    pub mcp_url: String,
    /// The account; `None` for the account that was given no name.
    pub account: Option<String>,
    /// The authorization server.
    pub issuer: Option<String>,
    /// The resource that the tokens are for.
    pub resource: Option<String>,
    /// The client identifier that we have there.
    pub client_id: Option<String>,
    /// The state of the account.
    pub state: State,
}

/// The state of an account at a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum State {
    /// There is an access token that is not over.
    Authorized {
        /// When it ends; `None` if nobody knows.
        until: Option<Timestamp>,
    },
    /// There is no access token that is not over, but a refresh token to renew it with.
    Renewable,
    /// The access token is over, and cannot be renewed.
    Expired,
    /// The authorization server refused the grant: a person has to log in.
    Rejected,
    /// Nothing is held.
    LoggedOut,
    /// A record is damaged, or is not what its key says.
    Unreadable,
    /// A newer version of this program wrote it; this one leaves it alone.
    Newer,
}

impl Entry {
    /// Starts a configuration for this very server and account.
    #[must_use]
    pub fn builder(&self) -> ConfigBuilder {
        let builder = Config::builder(&self.mcp_url);
        match &self.account {
            Some(account) => builder.account(account),
            None => builder,
        }
    }

    /// Returns true if the entry is of this account and this MCP URL, in whatever spelling.
    #[must_use]
    pub fn is_of(&self, mcp_url: &str, account: Option<&str>) -> bool {
        self.account.as_deref() == account
            && (self.mcp_url == mcp_url || self.mcp_url == canonical(mcp_url))
    }
}

/// The form that records are named by. Plain http passes here; a session decides whether it is
/// allowed.
fn canonical(mcp_url: &str) -> String {
    let host = url::Url::parse(mcp_url).ok();
    let host = host.as_ref().and_then(url::Url::host_str).unwrap_or_default();
    let parsed = McpUrl::parse(mcp_url, &[host.into()], false);
    parsed.map_or_else(|_| mcp_url.to_owned(), |parsed| parsed.canonical().to_owned())
}

/// Makes the list of the records of bindings and grants, sorted by server and account; records of
/// other kinds are left out. `now` decides whether a token is over.
///
/// Grants of an issuer that a server has left are not listed: they belong to no server any longer.
#[must_use]
pub fn read(records: impl IntoIterator<Item = (Key, Record)>, now: Timestamp) -> Vec<Entry> {
    let (mut bindings, mut grants) = (BTreeMap::new(), BTreeMap::new());
    for (key, record) in records {
        match key.kind {
            RecordKind::Binding => bindings.insert(key, record),
            RecordKind::Grant => grants.insert(key, record),
            RecordKind::Client => None,
        };
    }
    let entry = |(key, record): (&Key, &Record)| {
        let (mcp_url, account) = named(key)?;
        Some(match record::read::<Binding>(&record.bytes, key) {
            Ok(binding) => of(mcp_url, account, &binding, &grants, now),
            Err(kind) => {
                let state = unread(kind);
                Entry { mcp_url, account, issuer: None, resource: None, client_id: None, state }
            }
        })
    };
    let mut entries: Vec<Entry> = bindings.iter().filter_map(entry).collect();
    entries
        .sort_by(|one, other| (&one.mcp_url, &one.account).cmp(&(&other.mcp_url, &other.account)));
    entries
}

/// The MCP URL and the account of a binding, read from its key. Every binding of ours has a key of
/// this form.
fn named(key: &Key) -> Option<(String, Option<String>)> {
    let [mcp_url, account]: [String; 2] = serde_json::from_str(&key.name).ok()?;
    Some((mcp_url, Some(account).filter(|account| account != DEFAULT_ACCOUNT)))
}

fn of(
    mcp_url: String,
    account: Option<String>,
    binding: &Binding,
    grants: &BTreeMap<Key, Record>,
    now: Timestamp,
) -> Entry {
    let Binding { issuer, resource, client_id, account: name, .. } = binding;
    let key = record::grant_key(issuer, resource, client_id, name);
    Entry {
        mcp_url,
        account,
        issuer: Some(issuer.as_ref().to_owned()),
        resource: Some(resource.as_ref().to_owned()),
        client_id: Some(client_id.as_ref().to_owned()),
        state: match grants.get(&key).map(|record| record::read::<Grant>(&record.bytes, &key)) {
            None => State::LoggedOut,
            Some(Ok(grant)) => stands(&grant, now),
            Some(Err(kind)) => unread(kind),
        },
    }
}

fn stands(grant: &Grant, now: Timestamp) -> State {
    let live = grant.access_token.is_some() && !grant.expired(now);
    match (&grant.access_token, &grant.refresh_token) {
        (None, None) => State::LoggedOut,
        _ if grant.rejected => State::Rejected,
        _ if live => State::Authorized { until: grant.expires },
        (_, Some(_)) => State::Renewable,
        (_, None) => State::Expired,
    }
}

fn unread(kind: Kind) -> State {
    if kind == Kind::StoreVersion { State::Newer } else { State::Unreadable }
}

/// Shows one line for people. It has no query, and whatever a server or a damaged store put into a
/// name is escaped (HOST-304, HOST-309).
impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&shown(&self.mcp_url))?;
        if let Some(account) = &self.account {
            write!(f, " as {}", escaped(account))?;
        }
        write!(f, ": {}", self.state)?;
        match &self.issuer {
            Some(issuer) => write!(f, ", by {}", shown(issuer)),
            None => Ok(()),
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Authorized { .. } => "authorized",
            Self::Renewable => "to be renewed",
            Self::Expired => "expired",
            Self::Rejected => "refused by the authorization server",
            Self::LoggedOut => "logged out",
            Self::Unreadable => "unreadable",
            Self::Newer => "written by a newer version",
        })
    }
}

/// Shows the URLs as `Display` does, and so without their queries.
impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |text: &Option<String>| text.as_deref().map(shown);
        f.debug_struct("Entry")
            .field("mcp_url", &self::shown(&self.mcp_url))
            .field("account", &self.account)
            .field("issuer", &shown(&self.issuer))
            .field("resource", &shown(&self.resource))
            .field("client_id", &shown(&self.client_id))
            .field("state", &self.state)
            .finish()
    }
}

fn shown(url: &str) -> String {
    escaped(url.split(['?', '#']).next().unwrap_or_default())
}

#[cfg(test)]
mod tests;
