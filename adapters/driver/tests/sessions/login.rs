//! Logins and step-ups.

use std::sync::Arc;
use std::thread;

use mcp_authz_core::effect::{Page, Parties};
use mcp_authz_core::failure::Kind;
use mcp_authz_core::input::Callback;
use mcp_authz_core::scope::ScopeSet;
use mcp_authz_driver::exchange::{Exchange, ExchangeError};
use mcp_authz_tests::model::{Consent, Endpoint, Literal};

use crate::faces::Make;
use crate::world::{Person, World, browse, post};

pub(crate) fn a_login_by_the_listener_serves_requests(make: Make) {
    let world = World::new(|_| {});
    let session = world.session(make);
    let answer = session.exchange(world.initialize()).unwrap();
    assert_eq!(answer.status().as_u16(), 200);
    assert_eq!(world.pages(), 1);
    assert_eq!(world.count(Endpoint::Token), 1);
    assert!(session.granted().is_some());
    // From now on nothing but the request itself is sent.
    world.served.lock().clear_seen();
    assert_eq!(session.exchange(world.initialize()).unwrap().status().as_u16(), 200);
    assert!(session.acquire(&ScopeSet::empty(), true).unwrap().outcome.is_ok());
    assert_eq!(world.served.lock().seen().len(), 1);
}

pub(crate) fn a_login_by_hand_is_answered_with_its_page(make: Make) {
    let world = World::new(|_| {});
    world.person(Person::Away);
    let config = world.config().redirect_uri("http://127.0.0.1:9/callback");
    let config = config.client_name("Sessions <b>").build().unwrap();
    let session = make(world.common(), config, None);
    let waiting = Arc::clone(&session);
    let waiter = thread::spawn(move || waiting.acquire(&ScopeSet::empty(), true));
    let url = browse(world.page().url()).location();
    let page = session.deliver(Callback::url(url.as_str())).unwrap();
    let both = || "127.0.0.1".to_owned();
    let parties = Parties { program: "Sessions <b>".to_owned(), resource: both(), issuer: both() };
    assert_eq!(page, Page::Authorized(parties));
    assert!(waiter.join().unwrap().unwrap().outcome.is_ok());
    let again = session.deliver(Callback::url(url)).unwrap();
    assert_eq!(again, Page::Refused(Kind::CallbackUsed));
    assert_eq!(world.count(Endpoint::Token), 1);
}

pub(crate) fn a_hundred_callers_one_login_host_172(make: Make) {
    let world = World::new(|_| {});
    let session = world.session(make);
    let callers: Vec<_> = (0..100)
        .map(|_| {
            let session = Arc::clone(&session);
            thread::spawn(move || session.acquire(&ScopeSet::empty(), true))
        })
        .collect();
    for caller in callers {
        assert!(caller.join().unwrap().unwrap().outcome.is_ok());
    }
    assert_eq!(world.pages(), 1);
    assert_eq!(world.count(Endpoint::Token), 1);
    assert_eq!(world.count(Endpoint::Register), 1);
}

pub(crate) fn what_belongs_to_no_login_is_refused_host_175(make: Make) {
    let world = World::new(|_| {});
    let session = world.session(make);
    let page = session.deliver(Callback::url("http://127.0.0.1:9/callback?code=x&state=y"));
    assert_eq!(page.unwrap(), Page::Refused(Kind::StateMismatch));
    assert!(world.served.lock().seen().is_empty());
}

pub(crate) fn a_login_is_left_alone_by_wrong_callbacks_host_189(make: Make) {
    let world = World::new(|_| {});
    world.person(Person::Away);
    let session = world.session(make);
    let waiting = Arc::clone(&session);
    let waiter = thread::spawn(move || waiting.acquire(&ScopeSet::empty(), true));
    let visit = world.page();
    let redirect = &visit.redirect_uri;
    assert_eq!(browse(&format!("{redirect}?code=x&state=wrong")).status(), 400);
    assert_eq!(browse(&format!("{redirect}?error=access_denied")).status(), 400);
    assert_eq!(browse(&redirect.replace("/callback", "/favicon.ico")).status(), 404);
    let page = browse(&browse(visit.url()).location());
    assert_eq!(page.status(), 200);
    assert!(!page.text.contains("state="));
    assert!(waiter.join().unwrap().unwrap().outcome.is_ok());
    assert_eq!(world.count(Endpoint::Token), 1);
}

pub(crate) fn a_step_up_is_made_for_the_request_that_needs_it(make: Make) {
    let world = World::new(|settings| {
        settings.gate.methods.insert("tools/list".to_owned(), vec!["files:write".to_owned()]);
        settings.mcp.sessions = false;
        for server in settings.servers_mut() {
            server.scopes_supported.push("files:write".to_owned());
        }
    });
    let session = world.logged_in(make);
    assert_eq!(session.exchange(world.initialize()).unwrap().status().as_u16(), 200);
    assert_eq!(world.pages(), 0);
    let answer = session.exchange(world.rpc("tools/list", "{}")).unwrap();
    assert_eq!(answer.status().as_u16(), 200, "{:?}", String::from_utf8_lossy(answer.body()));
    assert_eq!(world.pages(), 1);
}

pub(crate) fn a_refused_login_settles_everybody(make: Make) {
    let world = World::new(|settings| settings.server.consent = Consent::Deny);
    let session = world.session(make);
    let callers: Vec<_> = (0..4)
        .map(|_| {
            let session = Arc::clone(&session);
            thread::spawn(move || session.acquire(&ScopeSet::empty(), true))
        })
        .collect();
    for caller in callers {
        let failure = caller.join().unwrap().unwrap().outcome.unwrap_err();
        assert_eq!(failure.kind(), Kind::AuthorizationDenied);
    }
    match session.exchange(world.initialize()) {
        Err(ExchangeError::Refused { failure, answer }) => {
            assert_eq!(answer.status().as_u16(), 401);
            assert_eq!(failure.kind(), Kind::AuthorizationDenied);
        }
        other => panic!("{other:?}"),
    }
}

pub(crate) fn requests_of_another_origin_carry_nothing_host_257(make: Make) {
    let world = World::new(|_| {});
    let session = world.logged_in(make);
    let other = world.served.origins().nth(1).unwrap().to_owned();
    for url in [format!("{other}/mcp"), world.served.mcp_url().replace("/mcp", "/mcp2")] {
        let exchange = Exchange::new(post(&url, "initialize", "{}"));
        match session.exchange(exchange) {
            Err(ExchangeError::Unsent(failure)) => assert_eq!(failure.kind(), Kind::OriginMismatch),
            other => panic!("{url}: {other:?}"),
        }
    }
    let mut own = post(world.served.mcp_url(), "initialize", "{}");
    own.headers_mut().insert("authorization", "Bearer mine".parse().unwrap());
    match session.exchange(Exchange::new(own)) {
        Err(ExchangeError::Unsent(failure)) => assert_eq!(failure.kind(), Kind::ConfigInvalid),
        other => panic!("{other:?}"),
    }
    assert!(world.served.lock().seen().is_empty());
}

pub(crate) fn a_redirect_out_of_the_token_area_is_refused_host_055_host_056(make: Make) {
    let world = World::new(|_| {});
    let session = world.logged_in(make);
    for (location, refused) in [
        ("https://evil.example/mcp", true),
        ("/other", true),
        ("//evil.example/mcp", true),
        ("/mcp/../other", true),
        ("/mcp/", false),
    ] {
        let answer = Literal::status(307).header("location", location);
        world.served.lock().inject(Endpoint::Mcp, 1, answer);
        match session.exchange(world.initialize()) {
            Err(ExchangeError::Refused { failure, .. }) if refused => {
                assert_eq!(failure.kind(), Kind::OriginMismatch);
            }
            Ok(answer) if !refused => assert_eq!(answer.status().as_u16(), 307),
            other => panic!("{location}: {other:?}"),
        }
    }
    assert_eq!(world.served.lock().seen().len(), 5);
}
