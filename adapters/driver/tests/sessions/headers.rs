//! Callers with an HTTP client of their own.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;

use http::header::{AUTHORIZATION, LOCATION, WWW_AUTHENTICATE};
use http::{Method, Response, Uri};
use mcp_authz_core::failure::Kind;
use mcp_authz_core::scope::ScopeSet;
use mcp_authz_driver::authorize::{AuthorizeError, Authorized, Seen};
use mcp_authz_driver::ports::Answer;
use mcp_authz_tests::model::Endpoint;

use crate::faces::{Face, Make};
use crate::world::{World, own_client};

fn uri(world: &World) -> Uri {
    world.served.mcp_url().parse().unwrap()
}

fn authorize(session: &Arc<dyn Face>, world: &World) -> Authorized {
    session.authorize(&Method::POST, &uri(world)).unwrap()
}

fn answer(status: u16, fields: &[(http::HeaderName, &str)]) -> Answer {
    let mut answer = Response::builder().status(status);
    for (name, value) in fields {
        answer = answer.header(name, *value);
    }
    answer.body(Vec::new()).unwrap()
}

fn kind<T: core::fmt::Debug>(outcome: Result<T, AuthorizeError>) -> Kind {
    match outcome {
        Err(AuthorizeError::Failed(failure)) => failure.kind(),
        other => panic!("{other:?}"),
    }
}

fn again(outcome: Result<Seen, AuthorizeError>) -> Authorized {
    match outcome {
        Ok(Seen::Again(authorized)) => authorized,
        other => panic!("{other:?}"),
    }
}

pub(crate) fn the_headers_of_a_live_token_use_01(make: Make) {
    let world = World::new(|_| {});
    let session = world.logged_in(make);
    let authorized = authorize(&session, &world);
    let granted = session.granted().unwrap();
    assert_eq!(authorized.epoch(), Some(granted.epoch()));
    let headers: Vec<_> = authorized.headers().collect();
    assert_eq!(headers.len(), 1);
    assert_eq!(headers[0], (AUTHORIZATION, granted.authorization()));
    assert!(headers[0].1.is_sensitive());
    assert!(!format!("{authorized:?}").contains(granted.access_token().expose()));
    let answer = own_client(&world, &authorized);
    assert_eq!(answer.status().as_u16(), 200);
    assert!(matches!(session.seen(&authorized, &answer), Ok(Seen::Final)));
    assert_eq!(world.served.lock().seen().len(), 1);
}

pub(crate) fn a_request_without_a_token_is_sent_to_learn_what_is_wanted(make: Make) {
    let world = World::new(|_| {});
    let session = world.session(make);
    let first = authorize(&session, &world);
    assert!(first.epoch().is_none() && first.headers().next().is_none() && !first.again());
    assert_eq!(world.pages(), 0);
    let refused = own_client(&world, &first);
    assert_eq!(refused.status().as_u16(), 401);
    // A caller that may not ask a person is told so, and a caller that may gets a login.
    let alone = first.clone().may_ask(false);
    assert_eq!(kind(session.seen(&alone, &refused)), Kind::ReauthorizationRequired);
    let second = again(session.seen(&first, &refused));
    assert!(second.again() && second.epoch().is_some());
    assert_eq!(world.pages(), 1);
    assert_eq!(own_client(&world, &second).status().as_u16(), 200);
}

pub(crate) fn headers_are_for_the_token_area_only_use_06_use_07_host_257_host_258_host_328(
    make: Make,
) {
    let world = World::new(|_| {});
    let mcp = world.served.mcp_url().to_owned();
    let rest = mcp.strip_prefix("http://").unwrap();
    let other = world.served.origins().nth(1).unwrap().to_owned();
    let foreign = [
        format!("{other}/mcp"),
        format!("https://{rest}"),
        format!("http://user@{rest}"),
        mcp.replace("127.0.0.1", "127.0.0.1.evil.example"),
        "/mcp".to_owned(),
    ];
    let within = [
        "/mcp2",
        "/mcp/../other",
        "/mcp%2f..%2fother",
        "/mcp/..;/other",
        "/mcp/..%00/other",
        "/mcp/%252e%252e/other",
        "/mcp/%c0%ae%c0%ae/other",
    ]
    .map(|to| mcp.replace("/mcp", to));
    // Before there is a token only the origin is known, and nobody else's refusal counts.
    let session = world.session(make);
    for url in &foreign {
        let outcome = session.authorize(&Method::GET, &url.parse().unwrap());
        assert_eq!(kind(outcome), Kind::OriginMismatch, "{url}");
    }
    let session = world.logged_in(make);
    for url in foreign.iter().chain(&within) {
        let outcome = session.authorize(&Method::GET, &url.parse().unwrap());
        assert_eq!(kind(outcome), Kind::OriginMismatch, "{url}");
    }
    let below = format!("{mcp}/messages?session=1").parse().unwrap();
    assert!(session.authorize(&Method::GET, &below).unwrap().epoch().is_some());
    assert!(world.served.lock().seen().is_empty());
}

pub(crate) fn a_refused_token_is_replaced_once_for_everybody_host_222(make: Make) {
    let world = Arc::new(World::new(|_| {}));
    let session = world.logged_in(make);
    let first = session.granted().unwrap().epoch();
    world.served.lock().revoke_access_tokens();
    let callers: Vec<_> = (0..20)
        .map(|_| {
            let (world, session) = (Arc::clone(&world), Arc::clone(&session));
            thread::spawn(move || {
                let sent = authorize(&session, &world);
                let refused = own_client(&world, &sent);
                match session.seen(&sent, &refused).unwrap() {
                    // It came after the refresh.
                    Seen::Final => refused,
                    Seen::Again(sent) => {
                        assert!(sent.epoch() > Some(first));
                        own_client(&world, &sent)
                    }
                }
            })
        })
        .collect();
    for caller in callers {
        assert_eq!(caller.join().unwrap().status().as_u16(), 200);
    }
    assert_eq!(world.count(Endpoint::Token), 1);
    assert_eq!(world.pages(), 0);
}

pub(crate) fn a_late_refusal_of_an_old_token_gets_the_current_one_host_222(make: Make) {
    let world = World::new(|_| {});
    let session = world.logged_in(make);
    let (late, prompt) = (authorize(&session, &world), authorize(&session, &world));
    world.served.lock().revoke_access_tokens();
    let refused = own_client(&world, &late);
    assert_eq!(refused.status().as_u16(), 401);
    let current = again(session.seen(&prompt, &refused));
    assert_eq!(world.count(Endpoint::Token), 1);
    world.served.lock().clear_seen();
    let healed = again(session.seen(&late, &refused));
    assert_eq!(healed.epoch(), current.epoch());
    assert!(healed.again());
    assert!(world.served.lock().seen().is_empty());
    assert_eq!(own_client(&world, &healed).status().as_u16(), 200);
}

pub(crate) fn a_repetition_that_is_refused_is_the_end_step_12(make: Make) {
    let world = World::new(|_| {});
    let session = world.logged_in(make);
    let refused = answer(401, &[(WWW_AUTHENTICATE, r#"Bearer error="invalid_token""#)]);
    let second = again(session.seen(&authorize(&session, &world).may_ask(false), &refused));
    assert_eq!(world.count(Endpoint::Token), 1);
    let outcome = session.seen(&second, &refused);
    assert_eq!(kind(outcome), Kind::UnauthorizedAfterRefresh);
    assert_eq!(world.count(Endpoint::Token), 1);
    assert_eq!(world.pages(), 0);
}

/// Each time somebody else has had a newer token meanwhile.
pub(crate) fn a_request_is_repeated_so_often_and_no_more_step_16(make: Make) {
    let world = World::new(|_| {});
    let session = world.logged_in(make);
    let refused = answer(401, &[]);
    let mut sent = authorize(&session, &world);
    for _ in 0..6 {
        world.clock.advance(600);
        let other = authorize(&session, &world);
        let _newer = again(session.seen(&other, &refused));
        sent = again(session.seen(&sent, &refused));
    }
    assert_eq!(kind(session.seen(&sent, &refused)), Kind::GrantUnstable);
}

pub(crate) fn a_refusal_is_counted_for_its_operation_step_10(make: Make) {
    let world = World::new(|settings| {
        for server in settings.servers_mut() {
            server.scopes_supported.push("files:write".to_owned());
        }
    });
    let session = world.logged_in(make);
    let wanted = r#"Bearer error="insufficient_scope", scope="files:write""#;
    let refused = answer(403, &[(WWW_AUTHENTICATE, wanted)]);
    let sent = authorize(&session, &world).operation("tools/call write");
    let stepped_up = again(session.seen(&sent, &refused));
    assert_eq!(world.pages(), 1);
    // The same again did not help; for another operation it was never tried.
    assert_eq!(kind(session.seen(&stepped_up, &refused)), Kind::StepUpIneffective);
    let another = authorize(&session, &world);
    assert_eq!(kind(session.seen(&another, &refused)), Kind::Forbidden);
    assert_eq!(world.pages(), 1);
}

pub(crate) fn an_answer_that_leads_out_of_the_area_is_not_followed_host_055_host_056_host_328(
    make: Make,
) {
    let world = World::new(|_| {});
    let session = world.logged_in(make);
    let sent = authorize(&session, &world);
    for location in [
        "https://evil.example/mcp",
        "//evil.example/",
        "/other",
        "http://[broken",
        // A join would have made these ordinary before anybody looked.
        "/other/../mcp/x",
        "/mcp/./x",
        "/mcp/..;/other",
        "/mcp/%252e%252e/other",
        "http:/mcp/x",
    ] {
        let moved = answer(307, &[(LOCATION, location)]);
        assert_eq!(kind(session.seen(&sent, &moved)), Kind::OriginMismatch, "{location}");
    }
    for location in ["/mcp/", "mcp/x?y", "/mcp/a%20b;v=1?to=.."] {
        let moved = answer(307, &[(LOCATION, location)]);
        assert!(matches!(session.seen(&sent, &moved), Ok(Seen::Final)), "{location}");
    }
}

pub(crate) fn a_live_token_needs_no_random_bytes(make: Make) {
    let world = World::new(|_| {});
    let session = world.logged_in(make);
    world.random.off.store(true, Ordering::SeqCst);
    // It ages, so that the session would be told.
    world.clock.advance(3590);
    let granted = session.acquire(&ScopeSet::empty(), true).unwrap().outcome.unwrap();
    assert_eq!(authorize(&session, &world).epoch(), Some(granted.epoch()));
}
