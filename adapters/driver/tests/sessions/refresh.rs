//! Refreshes: one for everybody, ahead of time if it can be, and never behind a person.

use core::time::Duration;
use std::sync::Arc;
use std::thread;
use std::time::Instant;

use mcp_authz_core::failure::Kind;
use mcp_authz_core::scope::ScopeSet;
use mcp_authz_driver::exchange::ExchangeError;
use mcp_authz_tests::model::{Endpoint, Fault, Literal};

use crate::faces::{Face, Make};
use crate::world::{Person, World, eventually};

fn requests(session: &Arc<dyn Face>, world: &World, count: usize) {
    let callers: Vec<_> = (0..count)
        .map(|_| {
            let (session, request) = (Arc::clone(session), world.initialize());
            thread::spawn(move || session.exchange(request).map(|answer| answer.status().as_u16()))
        })
        .collect();
    for caller in callers {
        assert_eq!(caller.join().unwrap().unwrap(), 200);
    }
}

pub(crate) fn a_refused_token_is_refreshed_once_for_everybody(make: Make) {
    let world = World::new(|_| {});
    let session = world.logged_in(make);
    let first = session.granted().unwrap();
    world.served.lock().revoke_access_tokens();
    requests(&session, &world, 20);
    assert_eq!(world.count(Endpoint::Token), 1);
    assert_eq!(world.pages(), 0);
    assert!(session.granted().unwrap().epoch() > first.epoch());
}

pub(crate) fn an_expired_token_is_refreshed_before_it_is_sent(make: Make) {
    let world = World::new(|_| {});
    let session = world.logged_in(make);
    world.clock.advance(4000);
    requests(&session, &world, 20);
    assert_eq!(world.count(Endpoint::Token), 1);
    let unauthorized = world.served.lock().seen().iter().filter(|seen| seen.status == 401).count();
    assert_eq!(unauthorized, 0);
}

pub(crate) fn an_ageing_token_is_used_while_one_refresh_runs(make: Make) {
    let world = World::new(|_| {});
    let session = world.logged_in(make);
    let first = session.granted().unwrap();
    world.served.lock().set(|settings| {
        settings.delays.insert(Endpoint::Token, 400);
    });
    world.clock.advance(3590);
    let begun = Instant::now();
    for _ in 0..20 {
        let granted = session.acquire(&ScopeSet::empty(), true).unwrap().outcome.unwrap();
        assert_eq!(granted.epoch(), first.epoch());
    }
    assert!(begun.elapsed() < Duration::from_millis(300), "{:?}", begun.elapsed());
    let renewed = |granted: &Arc<_>| -> bool {
        let granted: &mcp_authz_core::Granted = granted;
        granted.epoch() > first.epoch()
    };
    eventually(|| session.granted().filter(renewed));
    session.quiet();
    assert_eq!(world.count(Endpoint::Token), 1);
    assert_eq!(world.pages(), 0);
    // The renewed grant is saved: another process finds it.
    let other = world.session(make);
    other.acquire(&ScopeSet::empty(), false).unwrap().outcome.unwrap();
    assert_eq!(world.count(Endpoint::Token), 1);
}

pub(crate) fn a_refresh_waits_for_no_person(make: Make) {
    let world = World::new(|settings| {
        settings.gate.methods.insert("tools/list".to_owned(), vec!["files:write".to_owned()]);
        settings.mcp.sessions = false;
        for server in settings.servers_mut() {
            server.scopes_supported.push("files:write".to_owned());
        }
    });
    let session = world.logged_in(make);
    world.person(Person::Away);
    let (waiting, request) = (Arc::clone(&session), world.rpc("tools/list", "{}"));
    let stepping_up = thread::spawn(move || waiting.exchange(request));
    let visit = world.page();
    world.served.lock().revoke_access_tokens();
    let begun = Instant::now();
    requests(&session, &world, 4);
    assert!(begun.elapsed() < Duration::from_secs(2));
    assert!(!stepping_up.is_finished());
    crate::world::browse(&crate::world::browse(visit.url()).location());
    assert_eq!(stepping_up.join().unwrap().unwrap().status().as_u16(), 200);
}

pub(crate) fn a_network_failure_opens_no_page(make: Make) {
    let world = World::new(|_| {});
    let session = world.logged_in(make);
    world.served.lock().fail(Endpoint::Token, 100, Fault::Dropped);
    world.clock.advance(4000);
    let failure = session.acquire(&ScopeSet::empty(), true).unwrap().outcome.unwrap_err();
    assert!(matches!(failure.kind(), Kind::Transient | Kind::OutcomeUnknown), "{failure}");
    assert_eq!(world.pages(), 0);
    world.served.lock().heal();
}

pub(crate) fn a_lost_answer_is_reported_and_not_sent_again_host_254(make: Make) {
    let world = World::new(|_| {});
    let session = world.logged_in(make);
    world.served.lock().fail(Endpoint::Mcp, 1, Fault::Lost);
    match session.exchange(world.initialize()) {
        Err(ExchangeError::Lost { sent: true, .. }) => {}
        other => panic!("{other:?}"),
    }
    assert_eq!(world.count(Endpoint::Mcp), 1);
}

/// A refresh that pauses between two attempts goes on when the last caller has left.
pub(crate) fn a_refresh_goes_on_without_its_callers(make: Make) {
    let world = World::new(|_| {});
    let session = world.logged_in(make);
    let first = session.granted().unwrap();
    world.served.lock().inject(Endpoint::Token, 1, Literal::status(503));
    world.clock.advance(4000);
    let waiting = Arc::clone(&session);
    let waiter = thread::spawn(move || waiting.acquire(&ScopeSet::empty(), true));
    eventually(|| (world.count(Endpoint::Token) == 1).then_some(()));
    // The answer is still on its way to the session.
    thread::sleep(Duration::from_millis(100));
    session.cancel().unwrap();
    let failure = waiter.join().unwrap().unwrap().outcome.unwrap_err();
    assert_eq!(failure.kind(), Kind::Cancelled);
    eventually(|| session.granted().filter(|granted| granted.epoch() > first.epoch()));
    assert_eq!(world.count(Endpoint::Token), 2);
}
