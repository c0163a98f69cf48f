//! Several servers and accounts in one store.

use std::sync::Arc;

use mcp_authz_core::effect::RecordKind;
use mcp_authz_core::failure::Kind;
use mcp_authz_core::scope::ScopeSet;
use mcp_authz_driver::ports::{Common, NoStore, Store};
use mcp_authz_driver::vault::{Entry, State, Vault};
use mcp_authz_tests::model::Endpoint;

use crate::faces::{Face, Make};
use crate::world::World;

/// A session of one account, made as a program makes it from an entry or from what it was told.
fn session(world: &World, make: Make, account: Option<&str>) -> Arc<dyn Face> {
    let config = world.config();
    let config = match account {
        Some(account) => config.account(account),
        None => config,
    };
    make(world.common(), config.build().unwrap(), None)
}

fn token(session: &dyn Face, may_ask: bool) -> Result<String, Kind> {
    match session.acquire(&ScopeSet::empty(), may_ask).unwrap().outcome {
        Ok(granted) => Ok(granted.authorization().to_str().unwrap().to_owned()),
        Err(failure) => Err(failure.kind()),
    }
}

fn authorized(entries: &[Entry]) -> Vec<bool> {
    entries.iter().map(|entry| matches!(entry.state, State::Authorized { .. })).collect()
}

pub(crate) fn two_servers_and_two_accounts_are_listed_and_one_is_logged_out_host_296(make: Make) {
    let one = World::new(|_| {});
    let mut other = World::new(|_| {});
    other.store = one.store.clone();
    let vault = Vault::new(Arc::new(one.store.clone()));
    assert_eq!(vault.entries(), Ok(Vec::new()));

    let accounts = [(&one, None), (&one, Some("work")), (&other, None), (&other, Some("work"))];
    let mut tokens = Vec::new();
    for (world, account) in accounts {
        let session = session(world, make, account);
        tokens.push(token(&*session, true).unwrap());
        session.quiet();
    }
    assert!(tokens[0] != tokens[1] && tokens[2] != tokens[3], "each has a token of its own");

    let entries = vault.entries().unwrap();
    assert_eq!(authorized(&entries), [true; 4]);
    let shown = format!("{entries:?} {}", entries.iter().map(Entry::to_string).collect::<String>());
    for token in &tokens {
        assert!(!shown.contains(token.strip_prefix("Bearer ").unwrap()));
    }
    for ((world, account), token_before) in accounts.iter().zip(&tokens) {
        let entry = vault.find(world.served.mcp_url(), *account).unwrap().unwrap();
        assert_eq!(entry.account.as_deref(), *account);
        // Another process, which knows the entry and nothing else.
        let config = entry.builder().persistent(true).build().unwrap();
        let again = make(world.common(), config, None);
        assert_eq!(token(&*again, false).as_ref(), Ok(token_before));
    }

    let chosen = vault.find(one.served.mcp_url(), Some("work")).unwrap().unwrap();
    let config = chosen.builder().persistent(true).build().unwrap();
    let parting = make(one.common(), config, None);
    parting.forget().unwrap();
    assert!(one.count(Endpoint::Revoke) > 0, "its tokens were given back");
    assert_eq!(other.count(Endpoint::Revoke), 0);
    for (world, account) in accounts {
        let entry = vault.find(world.served.mcp_url(), account).unwrap().unwrap();
        let gone = std::ptr::eq(world, &raw const one) && account == Some("work");
        assert_eq!(entry.state == State::LoggedOut, gone, "{entry}");
        let config = entry.builder().persistent(true).build().unwrap();
        let held = token(&*make(world.common(), config, None), false);
        assert_eq!(held == Err(Kind::ReauthorizationRequired), gone, "{entry}");
    }
    assert_eq!(vault.find("https://nowhere.example/mcp", None), Ok(None));
    assert_eq!(one.store.list(RecordKind::Binding).unwrap().len(), 4);
}

#[test]
fn a_store_that_cannot_list_says_so() {
    let Common { store, .. } = Common::default();
    assert_eq!(Vault::new(store).entries(), Err(Kind::StoreUnavailable));
    assert_eq!(Vault::new(Arc::new(NoStore)).find("x", None), Err(Kind::StoreUnavailable));
}
