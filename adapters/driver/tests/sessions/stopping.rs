//! Everything can stop, and go on.

use core::sync::atomic::Ordering;
use core::time::Duration;
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::Instant;

use mcp_authz_core::effect::{LoopbackHost, Revoked};
use mcp_authz_core::failure::Kind;
use mcp_authz_core::input::Callback;
use mcp_authz_core::scope::ScopeSet;
use mcp_authz_driver::DriveError;
use mcp_authz_tests::model::{Endpoint, Literal};

use crate::faces::{Face, Make};
use crate::world::{Person, World, browse, eventually};

type Waiter = thread::JoinHandle<Result<mcp_authz_core::effect::Settlement, DriveError>>;

/// A caller that waits for a person who is not there.
fn waiting(world: &World, make: Make) -> (Arc<dyn Face>, Waiter, String) {
    world.person(Person::Away);
    let session = world.session(make);
    let waiting = Arc::clone(&session);
    let waiter = thread::spawn(move || waiting.acquire(&ScopeSet::empty(), true));
    let redirect = world.page().redirect_uri.clone();
    let address = redirect.strip_prefix("http://").unwrap().split('/').next().unwrap().to_owned();
    assert!(TcpStream::connect(&address).is_ok());
    (session, waiter, address)
}

fn closes(address: &str) {
    let begun = Instant::now();
    eventually(|| TcpStream::connect(address).err());
    assert!(begun.elapsed() < Duration::from_secs(1));
}

pub(crate) fn cancelling_settles_and_closes_the_port_host_195(make: Make) {
    let world = World::new(|_| {});
    let (session, waiter, address) = waiting(&world, make);
    session.cancel().unwrap();
    let failure = waiter.join().unwrap().unwrap().outcome.unwrap_err();
    assert_eq!(failure.kind(), Kind::Cancelled);
    closes(&address);
    // The next login is one like any other.
    world.person(Person::Agrees);
    assert!(session.acquire(&ScopeSet::empty(), true).unwrap().outcome.is_ok());
}

pub(crate) fn the_last_handle_closes_the_port(make: Make) {
    let world = World::new(|_| {});
    let (session, waiter, address) = waiting(&world, make);
    let snapshot = session.snapshot();
    session.cancel().unwrap();
    assert!(waiter.join().unwrap().unwrap().outcome.is_err());
    drop(session);
    closes(&address);
    // A session that goes on without a caller holds its port no longer than its handle.
    let session = make(world.common(), world.config().build().unwrap(), Some(snapshot));
    eventually(|| TcpStream::connect(&address).ok());
    drop(session);
    closes(&address);
}

pub(crate) fn forgetting_is_done_on_return(make: Make) {
    let world = World::new(|_| {});
    let session = world.logged_in(make);
    // The model has no revocation endpoint unless it is told to.
    let forgotten = session.forget().unwrap();
    assert!(matches!(forgotten.revoked, Revoked::NotOffered | Revoked::Done), "{forgotten:?}");
    assert_eq!(forgotten.unremoved, None);
    assert!(session.granted().is_none());
    world.served.lock().clear_seen();
    for session in [session, world.session(make)] {
        let failure = session.acquire(&ScopeSet::empty(), false).unwrap().outcome.unwrap_err();
        assert_eq!(failure.kind(), Kind::ReauthorizationRequired);
    }
    assert!(world.served.lock().seen().is_empty());
}

pub(crate) fn a_session_goes_on_from_its_snapshot(make: Make) {
    let world = World::new(|_| {});
    let (session, waiter, address) = waiting(&world, make);
    let visit = world.page();
    let snapshot = session.snapshot();
    session.cancel().unwrap();
    assert!(waiter.join().unwrap().unwrap().outcome.is_err());
    drop(session);
    closes(&address);
    let again = make(world.common(), world.config().build().unwrap(), Some(snapshot));
    let joined = Arc::clone(&again);
    let waiter = thread::spawn(move || joined.acquire(&ScopeSet::empty(), true));
    eventually(|| TcpStream::connect(&address).ok());
    assert!(world.page().reissued);
    assert_eq!(browse(&browse(visit.url()).location()).status(), 200);
    assert!(waiter.join().unwrap().unwrap().outcome.is_ok());
    assert_eq!(world.count(Endpoint::Token), 1);
    assert_eq!(world.count(Endpoint::Register), 1);
}

pub(crate) fn without_random_bytes_nothing_is_sent_host_164(make: Make) {
    let world = World::new(|_| {});
    let session = world.session(make);
    world.random.off.store(true, Ordering::SeqCst);
    let refused = session.acquire(&ScopeSet::empty(), true);
    assert_eq!(refused.unwrap_err(), DriveError::EntropyUnavailable);
    assert!(world.served.lock().seen().is_empty());
    world.random.off.store(false, Ordering::SeqCst);
    assert!(session.acquire(&ScopeSet::empty(), true).unwrap().outcome.is_ok());
}

pub(crate) fn a_program_that_may_ask_nobody_is_told_so(make: Make) {
    let world = World::new(|_| {});
    let session = world.session(make);
    let failure = session.acquire(&ScopeSet::empty(), false).unwrap().outcome.unwrap_err();
    assert_eq!(failure.kind(), Kind::ReauthorizationRequired);
    assert_eq!(world.pages(), 0);
}

pub(crate) fn nobody_listens_where_the_port_is_taken_host_197(make: Make) {
    let world = World::new(|_| {});
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let config =
        world.config().redirect_loopback(LoopbackHost::V4, Some(port), "/callback").build();
    let session = make(world.common(), config.unwrap(), None);
    let failure = session.acquire(&ScopeSet::empty(), true).unwrap().outcome.unwrap_err();
    assert_eq!(failure.kind(), Kind::ListenerUnavailable);
    let subject = format!("http://127.0.0.1:{port}/callback: another program has this port");
    assert_eq!(failure.subject(), Some(subject.as_str()));
    assert_eq!(world.pages(), 0);
}

/// Several that log out at once all hear how that ended.
pub(crate) fn everybody_who_logs_out_hears_how_it_ended_host_242(make: Make) {
    let world = World::new(|_| {});
    let session = world.logged_in(make);
    let all: Vec<_> = (0..4)
        .map(|_| {
            let session = Arc::clone(&session);
            thread::spawn(move || session.forget())
        })
        .collect();
    for one in all {
        eventually(|| one.is_finished().then_some(()));
        assert_eq!(one.join().unwrap().unwrap().unremoved, None);
    }
    // There is nothing left to log out of.
    assert!(matches!(session.forget().unwrap().revoked, Revoked::Nothing));
}

/// The refresh rests between two attempts, with the lease, when its session is dropped.
pub(crate) fn a_session_dropped_in_mid_refresh_leaves_no_lease(make: Make) {
    let world = World::new(|_| {});
    let session = world.logged_in(make);
    world.served.lock().inject(Endpoint::Token, 1, Literal::status(503));
    world.clock.advance(4000);
    let waiting = Arc::clone(&session);
    let waiter = thread::spawn(move || waiting.acquire(&ScopeSet::empty(), true));
    eventually(|| (world.count(Endpoint::Token) == 1).then_some(()));
    assert!(world.leased());
    session.cancel().unwrap();
    waiter.join().unwrap().unwrap().outcome.unwrap_err();
    drop(session);
    eventually(|| (!world.leased()).then_some(()));
    // Another session of this process is not locked out.
    let other = world.session(make);
    assert!(other.acquire(&ScopeSet::empty(), false).unwrap().outcome.is_ok());
}

/// Callers, refusals, cancellations and strays all at once: everybody is answered, and in the end
/// an honest request succeeds.
pub(crate) fn a_storm_leaves_nobody_waiting(make: Make) {
    let world = Arc::new(World::new(|_| {}));
    let session = world.logged_in(make);
    let threads: Vec<_> = (0..12u32)
        .map(|number| {
            let (world, session) = (Arc::clone(&world), Arc::clone(&session));
            thread::spawn(move || {
                for round in 0..15u32 {
                    match number.wrapping_mul(7).wrapping_add(round) % 6 {
                        0 => world.served.lock().revoke_access_tokens(),
                        1 => session.cancel().unwrap(),
                        2 => {
                            let stray = Callback::url("http://127.0.0.1:9/callback?state=x");
                            let _page_or_none = session.deliver(stray);
                        }
                        3 => drop(session.acquire(&ScopeSet::empty(), round % 2 == 0).unwrap()),
                        _ => drop(session.exchange(world.initialize())),
                    }
                }
            })
        })
        .collect();
    for thread in threads {
        eventually(|| thread.is_finished().then_some(()));
        thread.join().unwrap();
    }
    session.quiet();
    assert_eq!(session.exchange(world.initialize()).unwrap().status().as_u16(), 200);
}
