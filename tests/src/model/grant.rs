//! The consents, and the codes and tokens that were issued for them.
//!
//! Everything that came of one consent is one family: a code used twice, or a refresh token used after it was
//! rotated, ends the whole of it, because there is no telling which of the two users is the thief.

use std::collections::BTreeMap;

#[derive(Debug, Default)]
pub(crate) struct Grants {
    last: u64,
    families: BTreeMap<u64, Family>,
    pub(crate) codes: BTreeMap<String, Code>,
    access: BTreeMap<String, Access>,
    pub(crate) refresh: BTreeMap<String, Refresh>,
}

/// One consent.
#[derive(Clone, Debug)]
pub(crate) struct Family {
    pub(crate) server: usize,
    pub(crate) client: String,
    pub(crate) scopes: Vec<String>,
    pub(crate) resource: Option<String>,
    pub(crate) revoked: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct Code {
    pub(crate) family: u64,
    pub(crate) redirect_uri: String,
    pub(crate) challenge: String,
    pub(crate) ends: u64,
    pub(crate) used: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct Access {
    pub(crate) family: u64,
    pub(crate) scopes: Vec<String>,
    pub(crate) ends: u64,
    /// Requests that it is still good for, if they are counted.
    pub(crate) uses: Option<usize>,
    pub(crate) revoked: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct Refresh {
    pub(crate) family: u64,
    pub(crate) ends: Option<u64>,
    /// When it was first used, if it was rotated.
    pub(crate) rotated: Option<u64>,
}

impl Grants {
    pub(crate) fn begin(&mut self, family: Family) -> u64 {
        self.last = self.last.saturating_add(1);
        self.families.insert(self.last, family);
        self.last
    }

    pub(crate) fn family(&self, number: u64) -> Option<&Family> {
        self.families.get(&number)
    }

    pub(crate) fn issue_access(&mut self, token: String, access: Access) {
        self.access.insert(token, access);
    }

    /// A good access token and the consent behind it.
    pub(crate) fn good_access(&self, token: &str, now: u64) -> Option<(&Access, &Family)> {
        let access = self.access.get(token)?;
        let family = self.families.get(&access.family)?;
        let good = !access.revoked && !family.revoked && access.ends > now;
        (good && access.uses != Some(0)).then_some((access, family))
    }

    /// A request was made with an access token.
    pub(crate) fn use_access(&mut self, token: &str) {
        let uses = self.access.get_mut(token).and_then(|access| access.uses.as_mut());
        uses.into_iter().for_each(|left| *left = left.saturating_sub(1));
    }

    pub(crate) fn family_of(&self, token: &str) -> Option<u64> {
        let access = self.access.get(token).map(|access| access.family);
        access.or_else(|| self.refresh.get(token).map(|refresh| refresh.family))
    }

    pub(crate) fn revoke(&mut self, number: u64) {
        if let Some(family) = self.families.get_mut(&number) {
            family.revoked = true;
        }
    }

    pub(crate) fn revoke_family_of(&mut self, token: &str) {
        if let Some(number) = self.family_of(token) {
            self.revoke(number);
        }
    }

    pub(crate) fn revoke_all(&mut self) {
        for family in self.families.values_mut() {
            family.revoked = true;
        }
    }

    pub(crate) fn revoke_access(&mut self) {
        for access in self.access.values_mut() {
            access.revoked = true;
        }
    }

    pub(crate) fn revoke_access_of(&mut self, family: u64) {
        for access in self.access.values_mut().filter(|access| access.family == family) {
            access.revoked = true;
        }
    }

    pub(crate) fn revoke_access_token(&mut self, token: &str) {
        if let Some(access) = self.access.get_mut(token) {
            access.revoked = true;
        }
    }

    pub(crate) fn live_access(&self, now: u64) -> usize {
        self.access.keys().filter(|token| self.good_access(token, now).is_some()).count()
    }

    pub(crate) fn live_refresh(&self, now: u64) -> usize {
        let live = |refresh: &&Refresh| {
            refresh.rotated.is_none()
                && refresh.ends.is_none_or(|ends| ends > now)
                && self.families.get(&refresh.family).is_some_and(|family| !family.revoked)
        };
        self.refresh.values().filter(live).count()
    }
}
