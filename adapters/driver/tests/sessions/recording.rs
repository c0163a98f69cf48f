//! Traces of sessions on every loop.

use std::sync::{Arc, Mutex};

use mcp_authz_core::scope::ScopeSet;
use mcp_authz_driver::ports::{Common, Recorder};
use mcp_authz_driver::trace::{Recording, Replay};

use crate::faces::Make;
use crate::world::World;

/// A login, a refresh and a log-out, and a session that goes on from a snapshot: every step of them is
/// in the trace and replays, and no token is in it.
pub(crate) fn every_step_is_recorded_and_replays(make: Make) {
    let world = World::new(|_| {});
    let lines = Arc::new(Mutex::new(Vec::new()));
    let written = Arc::clone(&lines);
    let recorder: Arc<dyn Recorder> = Arc::new(Recording::new("test", move |line| {
        written.lock().unwrap().push(line.to_owned());
        Ok(())
    }));
    let common = || Common { recorder: Some(Arc::clone(&recorder)), ..world.common() };
    let session = make(common(), world.config().build().unwrap(), None);
    session.acquire(&ScopeSet::empty(), true).unwrap().outcome.unwrap();
    let token = session.granted().unwrap().access_token().expose().to_owned();
    session.quiet();
    let snapshot = session.snapshot();
    drop(session);
    let session = make(common(), world.config().build().unwrap(), Some(snapshot));
    world.served.lock().revoke_access_tokens();
    assert_eq!(session.exchange(world.initialize()).unwrap().status().as_u16(), 200);
    session.forget().unwrap();
    session.quiet();
    drop(session);

    let lines = lines.lock().unwrap();
    let mut replay = Replay::new();
    let mut given = Vec::new();
    for line in lines.iter() {
        assert!(!line.contains(&token), "{line}");
        let replayed = replay.line(line).unwrap();
        assert_eq!(replayed.differs, None, "{replayed:?}");
        given.extend(replayed.session.map(|session| format!("{session}: {}", replayed.given)));
    }
    for step in [
        "1: caller 0 wants a grant",
        "2: taken up from a snapshot",
        "2: caller 0: initialize was refused with 401",
        "2: a log-out",
    ] {
        assert!(given.iter().any(|given| given == step), "{step} is not among {given:#?}");
    }
}
