//! The rights of a socket, which are those of every connection to it.

use tokio::sync::Semaphore;
use url::Url;

use super::protocol::{OWNER, RESTRICTED};
use crate::options::Options;

/// The process at the other end, as the kernel tells of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer {
    pub(crate) pid: Option<i32>,
    pub(crate) uid: u32,
}

/// The rights of a socket. They are decided when it is made, not by who asks.
pub(crate) enum Rights {
    Owner,
    Restricted(Allowance),
}

/// A socket, as its connections know it.
pub(crate) struct Door {
    /// Its name in the audit.
    pub(crate) name: String,
    pub(crate) rights: Rights,
}

impl Door {
    /// The requests that it has.
    pub(crate) const fn may(&self) -> &'static [&'static str] {
        match &self.rights {
            Rights::Owner => &OWNER,
            Rights::Restricted(allowance) => allowance.may(),
        }
    }
}

/// The servers that a socket is for, and whether tokens leave by it.
pub(crate) struct Allowance {
    pub(crate) servers: Vec<(Url, Options)>,
    pub(crate) no_headers: bool,
    /// The calls of tools that may still be out.
    pub(crate) calls: Semaphore,
}

impl Allowance {
    /// The requests that it has.
    pub(crate) const fn may(&self) -> &'static [&'static str] {
        match (self.no_headers, &RESTRICTED) {
            (false, all) => all,
            (true, [_, calls @ ..]) => calls,
        }
    }

    /// The servers with this URL, if one is named, and this account, if one is named.
    pub(crate) fn named(
        &self,
        url: Option<&Url>,
        account: Option<&str>,
    ) -> impl Iterator<Item = &(Url, Options)> {
        self.servers.iter().filter(move |(at, options)| {
            url.is_none_or(|url| url == at)
                && account.is_none_or(|name| options.account.as_deref() == Some(name))
        })
    }
}
