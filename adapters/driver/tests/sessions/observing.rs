//! Observers that misbehave, and callers that wait for quiet.

use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, Weak};
use std::thread;

use mcp_authz_core::effect::{Page, Told};
use mcp_authz_core::failure::Kind;
use mcp_authz_core::input::Callback;
use mcp_authz_core::scope::ScopeSet;
use mcp_authz_driver::DriveError;
use mcp_authz_driver::ports::{Common, Observer};
use mcp_authz_tests::model::Endpoint;

use crate::faces::{Face, Make};
use crate::world::{Person, World, browse, eventually};

/// Panics whenever it is told something.
struct Panicking {
    inner: Arc<dyn Observer>,
    panics: AtomicUsize,
}

impl Observer for Panicking {
    fn told(&self, told: &Told) {
        self.inner.told(told);
        self.panics.fetch_add(1, Ordering::SeqCst);
        panic!("an observer panics");
    }
}

pub(crate) fn an_observer_that_panics_harms_nobody(make: Make) {
    let world = World::new(|_| {});
    let common = world.common();
    let inner = Arc::clone(&common.observer);
    let panicking = Arc::new(Panicking { inner, panics: AtomicUsize::new(0) });
    let observer: Arc<dyn Observer> = Arc::<Panicking>::clone(&panicking);
    let common = Common { observer, ..common };
    let session = make(common, world.config().build().unwrap(), None);
    assert!(session.acquire(&ScopeSet::empty(), true).unwrap().outcome.is_ok());
    assert!(panicking.panics.load(Ordering::SeqCst) > 0);
    world.served.lock().revoke_access_tokens();
    assert_eq!(session.exchange(world.initialize()).unwrap().status().as_u16(), 200);
    session.forget().unwrap();
    assert!(session.acquire(&ScopeSet::empty(), true).unwrap().outcome.is_ok());
    assert_eq!(world.pages(), 2);
    session.quiet();
}

/// Waits for its own session, at the page it is to show.
struct Waiting {
    inner: Arc<dyn Observer>,
    session: OnceLock<Weak<dyn Face>>,
    began: AtomicBool,
    got: Mutex<Vec<DriveError>>,
}

impl Observer for Waiting {
    fn told(&self, told: &Told) {
        if let Told::Open(_) = told
            && !self.began.swap(true, Ordering::SeqCst)
            && let Some(session) = self.session.get().and_then(Weak::upgrade)
        {
            let stray = Callback::url("http://127.0.0.1:9/callback?state=x");
            let acquired = session.acquire(&ScopeSet::empty(), true).unwrap_err();
            let delivered = session.deliver(stray).unwrap_err();
            let forgot = session.forget().unwrap_err();
            self.got.lock().unwrap().extend([acquired, delivered, forgot]);
        }
        self.inner.told(told);
    }
}

pub(crate) fn a_wait_inside_an_observer_is_refused(make: Make) {
    let world = World::new(|_| {});
    let common = world.common();
    let waiting = Arc::new(Waiting {
        inner: Arc::clone(&common.observer),
        session: OnceLock::new(),
        began: AtomicBool::new(false),
        got: Mutex::default(),
    });
    let observer: Arc<dyn Observer> = Arc::<Waiting>::clone(&waiting);
    let session = make(Common { observer, ..common }, world.config().build().unwrap(), None);
    assert!(waiting.session.set(Arc::downgrade(&session)).is_ok());
    let caller = Arc::clone(&session);
    let caller = thread::spawn(move || caller.acquire(&ScopeSet::empty(), true));
    eventually(|| caller.is_finished().then_some(()));
    assert!(caller.join().unwrap().unwrap().outcome.is_ok());
    assert_eq!(*waiting.got.lock().unwrap(), [DriveError::Reentered; 3]);
    // Outside, all of it may be done.
    let page = session.deliver(Callback::url("http://127.0.0.1:9/callback?state=x")).unwrap();
    assert!(matches!(page, Page::Refused(Kind::StateMismatch)), "{page:?}");
    session.forget().unwrap();
}

/// Two callers wait for quiet while a refresh runs and somebody else waits for a person: both leave
/// when the refresh is done, and a third need not wait at all.
pub(crate) fn quiet_waits_for_work_and_for_no_person(make: Make) {
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
    let quiet = |session: &Arc<dyn Face>| {
        let session = Arc::clone(session);
        thread::spawn(move || session.quiet())
    };
    let alone = quiet(&session);
    eventually(|| alone.is_finished().then_some(()));
    world.served.lock().set(|settings| {
        settings.delays.insert(Endpoint::Token, 400);
    });
    world.served.lock().revoke_access_tokens();
    let (refreshing, request) = (Arc::clone(&session), world.initialize());
    let refreshing = thread::spawn(move || refreshing.exchange(request));
    // The refusal has come, and the refresh is on its way.
    eventually(|| world.served.lock().seen().iter().any(|seen| seen.status == 401).then_some(()));
    let both = [quiet(&session), quiet(&session)];
    for one in &both {
        eventually(|| one.is_finished().then_some(()));
    }
    eventually(|| refreshing.is_finished().then_some(()));
    assert_eq!(refreshing.join().unwrap().unwrap().status().as_u16(), 200);
    assert!(!stepping_up.is_finished());
    for one in both.into_iter().chain([alone]) {
        one.join().unwrap();
    }
    browse(&browse(visit.url()).location());
    assert_eq!(stepping_up.join().unwrap().unwrap().status().as_u16(), 200);
}
