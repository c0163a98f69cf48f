//! The requests to a credential store, and its answers.

use core::fmt;

use serde::{Deserialize, Serialize};

use crate::kind::Kind;

/// One operation of the credential store. A store sees opaque bytes under a key with a generation.
///
/// Beside the records it keeps two kinds of marks. A *lease* says that a holder may renew the
/// record now. It keeps others waiting, and ends with its holder. An *intent* says that a one-time
/// credential is being spent. It outlives its maker, so that the next process knows of it after a
/// crash.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum StoreRequest {
    /// Read the record under a key. Answered with [`Stored::Loaded`].
    Load {
        /// The key of the record.
        key: Key,
    },
    /// Replace the record if its generation is still `expected`; `None` if there must be none.
    /// Answered with [`Stored::Swapped`], not before the record is durable, or with
    /// [`Stored::Conflict`]. Once the record is durable, its refresh intents of generations below
    /// the new one are removed.
    Swap {
        /// The key of the record.
        key: Key,
        /// The generation that is to be replaced.
        expected: Option<u64>,
        /// The new record; its generation is higher than `expected`.
        record: Record,
    },
    /// Take the lease of a record, without waiting. Answered with [`Stored::Leased`], or
    /// [`Stored::Busy`]. A later claim of the session that has the lease takes it over from the
    /// earlier one. The lease ends with [`StoreRequest::Release`], [`StoreRequest::Leave`] or the
    /// holder's process, never by its age.
    Lease {
        /// The key of the record.
        key: Key,
        /// The holder that takes the lease.
        holder: Holder,
    },
    /// Record durably, by an exclusive creation, that a one-time credential is about to be spent.
    /// Answered with [`Stored::Intended`], or [`Stored::Standing`] if that was recorded before, by
    /// any holder. For a refresh of a generation below the record's, the answer is an intent that
    /// stands and whose maker lives: the swap after that refresh has removed the intent.
    Intend {
        /// The key of the record that has the credential, or will come of it.
        key: Key,
        /// The credential that is about to be spent.
        spend: Spend,
        /// The holder that spends it.
        holder: Holder,
    },
    /// Remove an intent of this holder's, if one is named, then give back the lease, if this holder
    /// has it. Answered with [`Stored::Released`]. Nothing to remove or give back is no error.
    Release {
        /// The key of the record.
        key: Key,
        /// The holder of the lease and the intent.
        holder: Holder,
        /// The intent of a credential that is certainly unspent, or whose outcome is known. The
        /// outcome of a code is known once its tokens are saved, or it was refused. The store then
        /// has nothing left of the intent.
        withdraw: Option<Spend>,
    },
    /// The holder's session is gone: the leases of all its claims end, and their intents stand
    /// without a maker. Answered with [`Stored::Released`].
    Leave {
        /// Any claim of the session.
        holder: Holder,
    },
}

/// The holder of a lease or maker of an intent: one claim of one session in one process. The lower
/// 40 bits are random and name the session, and the others count its claims. A late operation of
/// the store about an earlier claim therefore leaves a later one alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Holder(pub u64);

impl Holder {
    const SESSION: u64 = (1 << 40) - 1;

    /// The holder of nothing.
    pub(crate) const NOBODY: Self = Self(0);

    /// The first claim of a session with this random name.
    pub(crate) const fn drawn(name: u64) -> Self {
        Self(Self(name).session())
    }

    /// The session alone: alike for all of its claims.
    #[must_use]
    pub const fn session(self) -> u64 {
        self.0 & Self::SESSION
    }

    /// Returns true if this is the same claim as the other, or a later one of the same session.
    #[must_use]
    pub const fn succeeds(self, other: Self) -> bool {
        self.session() == other.session() && self.0 >= other.0
    }

    /// The maker of the intents of the session's codes, whatever it claims meanwhile. A refresh may
    /// begin while a code is out.
    #[must_use]
    pub(crate) const fn of_codes(self) -> Self {
        Self(self.0 | !Self::SESSION)
    }

    /// The same session's next claim.
    #[must_use]
    pub(crate) const fn next(self) -> Self {
        Self(self.0.wrapping_add(Self::SESSION + 1))
    }
}

/// A one-time credential that is about to be spent.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Spend {
    /// The refresh token of the record's generation. The second attempt is the recovery after a
    /// first one whose maker is gone; there is no third.
    Refresh {
        /// The record's generation.
        generation: u64,
        /// 0 or 1.
        attempt: u8,
    },
    /// An authorization code.
    Code {
        /// 32 hexadecimal digits that stand for its login; not secret.
        login: String,
    },
}

impl Spend {
    /// A name for it that is unique among the intents of one record: lower-case letters, digits and
    /// hyphens, 64 bytes at most.
    #[must_use]
    pub fn name(&self) -> String {
        match self {
            Self::Refresh { generation, attempt } => format!("refresh-{generation}-{attempt}"),
            Self::Code { login } => {
                let digits = login.chars().filter(char::is_ascii_hexdigit).take(32);
                format!("code-{}", digits.collect::<String>().to_ascii_lowercase())
            }
        }
    }
}

impl fmt::Debug for StoreRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Load { key } => f.debug_struct("Load").field("key", key).finish(),
            Self::Swap { key, expected, record } => f
                .debug_struct("Swap")
                .field("key", key)
                .field("expected", expected)
                .field("record", record)
                .finish(),
            Self::Lease { key, .. } => f.debug_struct("Lease").field("key", key).finish(),
            Self::Intend { key, spend, .. } => {
                f.debug_struct("Intend").field("key", key).field("spend", spend).finish()
            }
            Self::Release { key, withdraw, .. } => {
                f.debug_struct("Release").field("key", key).field("withdraw", withdraw).finish()
            }
            Self::Leave { .. } => f.write_str("Leave"),
        }
    }
}

/// Names one record: its kind and the strings it belongs to, joined so that no two tuples of
/// strings give one key.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Key {
    /// `binding`, `client` or `grant`.
    pub kind: RecordKind,
    /// A JSON array of the strings. Not secret, not fit for a file name as it is.
    pub name: String,
}

/// Shows the kind only: the strings are URLs, whose queries may hold a key of the person's.
impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Key").field("kind", &self.kind).finish_non_exhaustive()
    }
}

/// The kinds of record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum RecordKind {
    /// The issuer, the resource and the client that an MCP URL and account led to.
    Binding,
    /// Credentials of a client at an issuer.
    Client,
    /// Tokens.
    Grant,
}

/// The bytes of a record; secret.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Bytes(pub Vec<u8>);

impl fmt::Debug for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Bytes({})", self.0.len())
    }
}

impl Drop for Bytes {
    fn drop(&mut self) {
        zeroize::Zeroize::zeroize(&mut self.0);
    }
}

/// A record as the store holds it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Grows with every swap.
    pub generation: u64,
    /// Opaque to the store.
    pub bytes: Bytes,
}

/// How a store operation ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stored {
    /// The record under the key; `None` if there is none.
    Loaded(Option<Record>),
    /// The swap is durable.
    Swapped,
    /// The record has another generation; this is the record that is there now.
    Conflict(Option<Record>),
    /// The holder has the lease.
    Leased,
    /// Another holder has it.
    Busy,
    /// The intent is recorded; this holder is its maker.
    Intended,
    /// The intent had been recorded before.
    Standing {
        /// True if its maker may still be there. A store that cannot tell answers true as well.
        made_by_the_living: bool,
    },
    /// The intent is removed and the lease is given back, as far as there were any.
    Released,
    /// The operation failed; the kind is one of the `store_…` codes, or `machine_exhausted`.
    Failed(Kind),
}
