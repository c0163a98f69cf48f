//! The stages: small machines, one exchange each, retries included.
//!
//! A stage knows the wire and its own states; it refuses to know what comes before or after it,
//! who waits, or what is held.

pub(crate) mod authorization;
pub(crate) mod claim;
pub(crate) mod discovery;
pub(crate) mod recall;
pub(crate) mod registration;
pub(crate) mod revocation;
pub(crate) mod token;
pub(crate) mod vault;

use crate::machine::{Machine, Table};

impl Table {
    /// Every table of the machine, in the order a login goes through them.
    pub const ALL: &'static [&'static Self] = &[
        recall::Recall::TABLE,
        discovery::Discovery::TABLE,
        registration::Registration::TABLE,
        authorization::Authorization::TABLE,
        claim::Claim::TABLE,
        claim::Intent::TABLE,
        token::Token::TABLE,
        vault::Save::TABLE,
        claim::Release::TABLE,
        revocation::Revocation::TABLE,
    ];
}
