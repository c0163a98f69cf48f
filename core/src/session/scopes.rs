//! The scopes that a login asks for (SCOPE-01 to SCOPE-10, STEP-03 to STEP-07, STEP-13).

use crate::failure::{Failure, Kind};
use crate::note::ScopeSource;
use crate::scope::ScopeSet;

/// The scope that asks for a refresh token.
const OFFLINE: &str = "offline_access";

/// The scopes that each source names for a login.
#[derive(Debug)]
pub(crate) struct Named<'a> {
    /// The caller's scopes for this login.
    pub(crate) wanted: &'a ScopeSet,
    /// The configuration's scopes, which go ahead of everything the server names.
    pub(crate) configured: Option<&'a ScopeSet>,
    /// The challenge's scopes.
    pub(crate) challenged: Option<&'a ScopeSet>,
    /// The scopes of the protected resource metadata.
    pub(crate) resource: Option<&'a ScopeSet>,
    /// The configuration's scopes for a login where nobody else names any.
    pub(crate) default: Option<&'a ScopeSet>,
    /// The scopes that were asked for and granted so far at this issuer.
    pub(crate) before: [Option<&'a ScopeSet>; 2],
    /// True if the login is a step-up.
    pub(crate) step_up: bool,
    /// True if the server lists `offline_access`.
    pub(crate) offline_listed: bool,
    /// True if a refresh token is wanted.
    pub(crate) offline_wanted: bool,
}

/// Chooses the scopes to ask for. Returns them with their source, and true if `offline_access` was
/// dropped as a server's fault.
///
/// # Errors
/// `limit_exceeded` if the union passes the limits; no page is opened (HOST-256).
pub(crate) fn choose(named: &Named<'_>) -> Result<(ScopeSet, ScopeSource, bool), Failure> {
    let filled = |set: Option<&ScopeSet>| set.filter(|set| !set.is_empty()).cloned();
    let configured = named.configured.cloned().unwrap_or_default();
    let host = configured.union(named.wanted).map_err(|_| over_limit())?;
    let (mut scopes, source) = if !host.is_empty() {
        (host, ScopeSource::Host)
    } else if let Some(scopes) = filled(named.challenged) {
        (scopes, ScopeSource::Challenge)
    } else if let Some(scopes) = filled(named.resource) {
        (scopes, ScopeSource::Resource)
    } else if let Some(scopes) = filled(named.default) {
        (scopes, ScopeSource::Default)
    } else {
        (ScopeSet::empty(), ScopeSource::Nobody)
    };
    let mut dropped = false;
    if source != ScopeSource::Host && scopes.contains(OFFLINE) && !named.offline_wanted {
        scopes = without_offline(&scopes);
        dropped = true;
    }
    // Scopes that were asked for before come first, so that a step-up never loses a permission.
    // Where the host has named a set for a first login, that set stands alone.
    let extra = if named.step_up { named.challenged.or(named.resource) } else { None };
    let stripped = extra.filter(|_| !named.offline_wanted).map(without_offline);
    let extra = stripped.as_ref().or(extra);
    let mut all = ScopeSet::empty();
    for set in named.before.into_iter().flatten().chain([&scopes]).chain(extra) {
        all = all.union(set).map_err(|_| over_limit())?;
    }
    if named.offline_wanted && named.offline_listed && !all.is_empty() {
        all.insert(OFFLINE).map_err(|_| over_limit())?;
    }
    Ok((all, source, dropped))
}

/// A set without `offline_access`.
pub(crate) fn without_offline(scopes: &ScopeSet) -> ScopeSet {
    scopes.without(&ScopeSet::from_tokens([OFFLINE]).unwrap_or_default())
}

/// The failure of a union of scopes that passes the limits.
fn over_limit() -> Failure {
    Failure::new(Kind::LimitExceeded, "SCOPE-11").with_subject("scope")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(text: &str) -> ScopeSet {
        ScopeSet::read(text).unwrap()
    }

    fn named<'a>(wanted: &'a ScopeSet) -> Named<'a> {
        Named {
            wanted,
            configured: None,
            challenged: None,
            resource: None,
            default: None,
            before: [None, None],
            step_up: false,
            offline_listed: false,
            offline_wanted: true,
        }
    }

    #[test]
    fn priority_scope_02_scope_03_scope_04_scope_06() {
        let (none, a, b, c, d) = (set(""), set("a"), set("b"), set("c"), set("d"));
        let all = Named {
            configured: Some(&a),
            challenged: Some(&b),
            resource: Some(&c),
            default: Some(&d),
            ..named(&none)
        };
        let chosen = |named: &Named<'_>| {
            let (scopes, source, _) = choose(named).unwrap();
            (scopes.as_str().to_owned(), source)
        };
        assert_eq!(chosen(&all), ("a".into(), ScopeSource::Host));
        let all = Named { configured: None, ..all };
        assert_eq!(chosen(&all), ("b".into(), ScopeSource::Challenge));
        let all = Named { challenged: None, ..all };
        assert_eq!(chosen(&all), ("c".into(), ScopeSource::Resource));
        let all = Named { resource: None, ..all };
        assert_eq!(chosen(&all), ("d".into(), ScopeSource::Default));
        let all = Named { default: None, ..all };
        assert_eq!(chosen(&all), (String::new(), ScopeSource::Nobody));
    }

    #[test]
    fn no_intersection_with_the_resource_scope_05() {
        let (none, challenged, resource) = (set(""), set("x"), set("y"));
        let named =
            Named { challenged: Some(&challenged), resource: Some(&resource), ..named(&none) };
        assert_eq!(choose(&named).unwrap().0.as_str(), "x");
    }

    #[test]
    fn offline_access_scope_07_scope_08_scope_10() {
        let (none, resource) = (set(""), set("a"));
        let some = Named { resource: Some(&resource), offline_listed: true, ..named(&none) };
        assert_eq!(choose(&some).unwrap().0.as_str(), "a offline_access");
        let unlisted = Named { offline_listed: false, ..some };
        assert_eq!(choose(&unlisted).unwrap().0.as_str(), "a");
        let alone = Named { offline_listed: true, ..named(&none) };
        assert!(choose(&alone).unwrap().0.is_empty(), "it would replace the server's default");
        let faulty = set("a offline_access");
        let unwanted = Named { resource: Some(&faulty), offline_wanted: false, ..named(&none) };
        let (scopes, _, dropped) = choose(&unwanted).unwrap();
        assert_eq!((scopes.as_str(), dropped), ("a", true));
    }

    #[test]
    fn step_up_unites_old_and_new_step_03_step_07() {
        let (none, asked, granted) = (set(""), set("a b"), set("a"));
        let (challenged, resource) = (set("c"), set("d"));
        let named = Named {
            before: [Some(&asked), Some(&granted)],
            challenged: Some(&challenged),
            resource: Some(&resource),
            step_up: true,
            ..named(&none)
        };
        assert_eq!(choose(&named).unwrap().0.as_str(), "a b c");
        let unnamed = Named { challenged: None, ..named };
        assert_eq!(choose(&unnamed).unwrap().0.as_str(), "a b d");
    }

    #[test]
    fn a_union_over_the_limit_opens_no_page_host_256() {
        let many: Vec<String> = (0..40).map(|i| format!("s{i}")).collect();
        let more: Vec<String> = (40..80).map(|i| format!("s{i}")).collect();
        let (none, before, challenged) = (set(""), set(&many.join(" ")), set(&more.join(" ")));
        let named = Named {
            before: [Some(&before), None],
            challenged: Some(&challenged),
            step_up: true,
            ..named(&none)
        };
        assert_eq!(choose(&named).unwrap_err().kind(), Kind::LimitExceeded);
    }
}
