//! The cases, written once for all adapters.

macro_rules! enter {
    ($run:path; ; $body:block) => {
        $run($body)
    };
    ($run:path; $await:tt; $body:block) => {
        $run(async $body)
    };
}

/// Waits on the spot.
macro_rules! waited {
    ($wait:expr) => {
        $wait
    };
    ($wait:expr, $await:tt) => {
        async_std::task::block_on($wait)
    };
}

macro_rules! managers {
    ($name:ident, $adapter:ident, $run:path $(, $await:tt)?) => {
        mod $name {
            use core::time::Duration;
            use std::sync::{Arc, Mutex};
            use std::thread;
            use std::time::Instant;
            use std::sync::atomic::{AtomicUsize, Ordering};

            use $adapter::{AuthorizationManager, AuthorizationSession, AuthorizedHttpClient, Client};
            use http::Request;
            use mcp_authz_core::Config;
            use mcp_authz_core::config::{Profile, Times};
            use mcp_authz_core::effect::{Page, Visit};
            use mcp_authz_core::failure::Kind;
            use mcp_authz_core::input::Callback;
            use mcp_authz_core::scope::ScopeSet;
            use mcp_authz_driver::arrivals::PageSink;
            use mcp_authz_driver::authorize::AuthorizeError;
            use mcp_authz_driver::DriveError;
            use mcp_authz_driver::exchange::{Exchange, ExchangeError};
            use mcp_authz_driver::person::Answers;
            #[allow(unused_imports, reason = "one of them is for async adapters")]
            use mcp_authz_driver::ports::{AsyncBody, Body};
            use mcp_authz_driver::transport::Settings;
            use mcp_authz_host::store::MemoryStore;
            use mcp_authz_tests::model::{AnswerForm, Consent, Endpoint, IssMode, PrmPlace, Server};
            use mcp_authz_tests::serve::{Served, embedded};
            use serde_json::{Value, json};

            use crate::parts::{self, Hears, REDIRECT, agree};

            fn served() -> Served {
                embedded(|settings| settings.mcp.answers = AnswerForm::Json).unwrap()
            }

            fn kind(error: &AuthorizeError) -> Kind {
                match error {
                    AuthorizeError::Failed(failure) => failure.kind(),
                    other => panic!("{other}"),
                }
            }

            fn initialize(id: u64) -> Value {
                json!({"jsonrpc": "2.0", "id": id, "method": "initialize", "params": {
                    "protocolVersion": "2025-11-25", "capabilities": {},
                    "clientInfo": {"name": "t", "version": "1"}}})
            }

            #[test]
            fn a_login_step_by_step_authz_12() {
                let served = served();
                enter!($run; $($await)?; {
                    let manager = AuthorizationManager::new(served.mcp_url()).unwrap();
                    let session = AuthorizationSession::new(manager.clone(), &[], REDIRECT)$(.$await)?;
                    let session = session.unwrap();
                    assert!(session.credentials().is_none());
                    let there = agree(session.get_authorization_url().unwrap());
                    assert!(there.starts_with(REDIRECT));
                    assert_eq!(session.visit().unwrap().redirect_uri, REDIRECT);
                    let forged = there.replace("state=", "state=x");
                    let refused = session.handle_callback(forged.as_str())$(.$await)?;
                    assert_eq!(kind(&refused.unwrap_err()), Kind::StateMismatch);
                    let query = there.split_once('?').unwrap().1;
                    let granted = session.handle_callback(query)$(.$await)?.unwrap();
                    assert!(!granted.access_token().expose().is_empty());
                    assert!(!format!("{session:?} {granted:?}").contains(granted.access_token().expose()));
                    assert_eq!(session.credentials().unwrap().epoch(), granted.epoch());
                    assert_eq!(manager.granted().unwrap().epoch(), granted.epoch());
                    let again = session.handle_callback(Callback::url(there.as_str()))$(.$await)?;
                    assert_eq!(kind(&again.unwrap_err()), Kind::CallbackUsed);
                });
                assert_eq!(served.lock().count(Endpoint::Token), 1);
            }

            /// A server whose token endpoint has forgotten the client of the first exchanges.
            fn forgetful(times: usize) -> Served {
                let served = served();
                served.lock().set(|settings| {
                    settings.servers_mut().for_each(|server| server.tokens.forgets_clients = times);
                });
                served
            }

            /// The page that a login goes on with.
            fn next_page(error: AuthorizeError) -> Visit {
                match error {
                    AuthorizeError::OneMoreStep(visit) => *visit,
                    other => panic!("{other}"),
                }
            }

            fn client_of(url: &str) -> &str {
                url.split_once("client_id=").unwrap().1.split('&').next().unwrap()
            }

            #[test]
            fn a_login_that_goes_on_with_another_page_says_so_reg_21() {
                let served = forgetful(1);
                let begun = Instant::now();
                enter!($run; $($await)?; {
                    // The manager's own person has nothing to do with this login.
                    let nobody = |_: &Visit, _: Answers| panic!("not to be asked");
                    let manager = AuthorizationManager::builder(served.mcp_url()).person(nobody);
                    let manager = manager.build().unwrap();
                    let session = AuthorizationSession::new(manager, &[], REDIRECT)$(.$await)?;
                    let session = session.unwrap();
                    let first = session.get_authorization_url().unwrap();
                    let there = agree(first);
                    let again = session.handle_callback(there.as_str())$(.$await)?.unwrap_err();
                    let visit = next_page(again);
                    assert_ne!(client_of(visit.url()), client_of(first));
                    assert_eq!(session.get_authorization_url(), Some(visit.url()));
                    assert_eq!(session.visit(), Some(&visit));
                    let stale = session.handle_callback(there.as_str())$(.$await)?;
                    assert_eq!(kind(&stale.unwrap_err()), Kind::CallbackUsed);
                    let granted = session.handle_callback(agree(visit.url()))$(.$await)?.unwrap();
                    assert!(!granted.access_token().expose().is_empty());
                    assert!(!format!("{session:?}").contains(client_of(visit.url())));
                });
                assert!(begun.elapsed() < Duration::from_secs(60));
                assert_eq!(served.lock().count(Endpoint::Register), 2);
            }

            #[test]
            fn who_only_waits_is_given_the_other_page_too_reg_21() {
                let served = forgetful(1);
                let session = enter!($run; $($await)?; {
                    let manager = AuthorizationManager::new(served.mcp_url()).unwrap();
                    AuthorizationSession::new(manager, &[], REDIRECT)$(.$await)?.unwrap()
                });
                let first = session.get_authorization_url().unwrap().to_owned();
                thread::scope(|scope| {
                    let waits = scope.spawn(|| {
                        enter!($run; $($await)?; {
                            let next = next_page(session.wait()$(.$await)?.unwrap_err());
                            assert_ne!(next.url(), first, "that one was given out");
                            let there = agree(next.url());
                            session.manager().session().arrivals().report(
                                Callback::url(there), PageSink::new(|_| {}),
                            );
                            session.wait()$(.$await)?.unwrap()
                        })
                    });
                    let (sender, page) = std::sync::mpsc::channel();
                    session.manager().session().arrivals().report(
                        Callback::url(agree(&first)),
                        PageSink::new(move |page| sender.send(page).unwrap()),
                    );
                    let page = page.recv_timeout(Duration::from_secs(60)).unwrap();
                    assert!(matches!(page, Page::OneMoreStep(_)), "{page:?}");
                    waits.join().unwrap();
                });
                // Nobody is told of the same page twice.
                enter!($run; $($await)?; { session.wait()$(.$await)?.unwrap() });
                assert_eq!(served.lock().count(Endpoint::Token), 2);
            }

            /// A finished login's program receives the callbacks of the next one as well, and is told
            /// which page that goes on with.
            #[test]
            fn a_finished_login_is_given_the_other_page_of_the_next_one_reg_21() {
                let served = served();
                let (sender, shown) = std::sync::mpsc::channel();
                let sender = Mutex::new(sender);
                let person = move |visit: &Visit, _: Answers| {
                    sender.lock().unwrap().send(visit.clone()).unwrap();
                };
                let session = enter!($run; $($await)?; {
                    let manager = AuthorizationManager::builder(served.mcp_url());
                    let manager = manager.person(person).build().unwrap();
                    let session = AuthorizationSession::new(manager, &[], REDIRECT)$(.$await)?.unwrap();
                    let there = agree(session.get_authorization_url().unwrap());
                    session.handle_callback(there)$(.$await)?.unwrap();
                    session
                });
                served.lock().revoke_all();
                served.lock().set(|settings| {
                    settings.servers_mut().for_each(|server| server.tokens.forgets_clients = 1);
                });
                thread::scope(|scope| {
                    let client = AuthorizedHttpClient::new(session.manager().clone(), None);
                    let url = served.mcp_url();
                    let asked = scope.spawn(move || {
                        enter!($run; $($await)?; {
                            client.post_json::<Value>(url, &initialize(1))$(.$await)?.is_ok()
                        })
                    });
                    let next = || shown.recv_timeout(Duration::from_secs(60)).unwrap();
                    enter!($run; $($await)?; {
                        let there = agree(next().url());
                        let again = session.handle_callback(there)$(.$await)?.unwrap_err();
                        let visit = next_page(again);
                        assert_eq!(visit.url(), next().url());
                        session.handle_callback(agree(visit.url()))$(.$await)?.unwrap();
                    });
                    assert!(asked.join().unwrap());
                });
            }

            #[test]
            fn a_second_client_that_is_forgotten_ends_the_login_reg_21() {
                let served = forgetful(2);
                enter!($run; $($await)?; {
                    let manager = AuthorizationManager::new(served.mcp_url()).unwrap();
                    let session = AuthorizationSession::new(manager, &[], REDIRECT)$(.$await)?;
                    let session = session.unwrap();
                    let first = agree(session.get_authorization_url().unwrap());
                    let next = next_page(session.handle_callback(first)$(.$await)?.unwrap_err());
                    let ended = session.handle_callback(agree(next.url()))$(.$await)?;
                    assert_eq!(kind(&ended.unwrap_err()), Kind::ClientRejected);
                });
                assert_eq!(served.lock().count(Endpoint::Register), 2);
            }

            #[test]
            fn one_call_shows_each_page_of_its_login_reg_21() {
                for person in [parts::browses, parts::pastes] {
                    let served = forgetful(1);
                    let shown = Arc::new(AtomicUsize::new(0));
                    let count = Arc::clone(&shown);
                    let person = move |visit: &Visit, answers: Answers| {
                        count.fetch_add(1, Ordering::SeqCst);
                        assert!(!visit.reissued);
                        person(visit, answers);
                    };
                    enter!($run; $($await)?; {
                        let manager = AuthorizationManager::new(served.mcp_url()).unwrap();
                        manager.log_in(&person)$(.$await)?.unwrap();
                    });
                    assert_eq!(shown.load(Ordering::SeqCst), 2);
                }
            }

            #[test]
            fn a_client_has_its_person_shown_each_page_reg_21() {
                let served = forgetful(1);
                enter!($run; $($await)?; {
                    let manager = AuthorizationManager::builder(served.mcp_url());
                    let manager = manager.person(parts::browses).build().unwrap();
                    let client = AuthorizedHttpClient::new(manager, None);
                    client.post_json::<Value>(served.mcp_url(), &initialize(1))$(.$await)?.unwrap();
                });
                assert_eq!(served.lock().count(Endpoint::Authorize), 2);
            }

            #[test]
            fn an_untrusted_callback_names_the_issuers_iss_90() {
                for (mode, expected, named) in [
                    (IssMode::Missing, Kind::IssMissing, "none"),
                    (IssMode::Wrong("https://evil.example".into()), Kind::IssMismatch, "https://evil.example"),
                ] {
                    let served = served();
                    served.lock().set(|settings| {
                        settings.servers_mut().for_each(|server| server.callback.iss = mode.clone());
                    });
                    enter!($run; $($await)?; {
                        let manager = AuthorizationManager::new(served.mcp_url()).unwrap();
                        let session = AuthorizationSession::new(manager, &[], REDIRECT)$(.$await)?;
                        let session = session.unwrap();
                        let there = agree(session.get_authorization_url().unwrap());
                        let refused = session.handle_callback(there)$(.$await)?.unwrap_err();
                        assert_eq!(kind(&refused), expected);
                        let issuer = session.visit().unwrap().issuer.clone();
                        let text = refused.to_string();
                        assert!(text.contains(&format!("expected {issuer}, received {named}")), "{text}");
                        // The login waits for a better one.
                        served.lock().set(|settings| {
                            settings.servers_mut().for_each(|server| server.callback.iss = IssMode::Sent);
                        });
                        let there = agree(session.get_authorization_url().unwrap());
                        session.handle_callback(there)$(.$await)?.unwrap();
                    });
                }
            }

            #[test]
            fn a_person_who_cannot_ask_ends_the_login_at_once_host_169() {
                let served = served();
                let begun = Instant::now();
                enter!($run; $($await)?; {
                    let cannot = |_: &Visit, answers: Answers| answers.cannot_ask();
                    let manager = AuthorizationManager::builder(served.mcp_url()).person(cannot);
                    let manager = manager.build().unwrap();
                    let refused = manager.log_in(&cannot)$(.$await)?.unwrap_err();
                    assert_eq!(kind(&refused), Kind::BrowserRefused);
                    let client = AuthorizedHttpClient::new(manager.clone(), None);
                    match client.post_json::<Value>(served.mcp_url(), &initialize(1))$(.$await)? {
                        Err(ExchangeError::Refused { failure, .. }) => {
                            assert_eq!(failure.kind(), Kind::BrowserRefused);
                        }
                        other => panic!("{other:?}"),
                    }
                    manager.log_in(&parts::browses)$(.$await)?.unwrap();
                });
                assert!(begun.elapsed() < Duration::from_secs(60));
            }

            /// Nobody is shown a page, and nothing is registered on a guess.
            #[test]
            fn an_open_server_is_said_to_be_open_disc_01() {
                for (metadata, expected) in [(false, Some(Kind::NotRequired)), (true, None)] {
                    let served = embedded(|settings| {
                        settings.gate.open = true;
                        if !metadata {
                            settings.prm.places.clear();
                        }
                    });
                    let served = served.unwrap();
                    enter!($run; $($await)?; {
                        let manager = AuthorizationManager::new(served.mcp_url()).unwrap();
                        let session = AuthorizationSession::new(manager.clone(), &[], REDIRECT)$(.$await)?;
                        assert_eq!(session.as_ref().err().map(kind), expected);
                        drop(session);
                        let manager = AuthorizationManager::new(served.mcp_url()).unwrap();
                        let granted = manager.log_in(&parts::browses)$(.$await)?;
                        assert_eq!(granted.as_ref().err().map(kind), expected);
                    });
                    let model = served.lock();
                    assert_eq!(model.count(Endpoint::Register) > 0, metadata);
                    assert_eq!(model.count(Endpoint::Mcp), 2);
                }
            }

            /// The first request says where its metadata is, which nobody could guess.
            #[test]
            fn a_login_by_name_follows_the_challenge_disc_06() {
                let served = embedded(|settings| {
                    settings.prm.places = vec![PrmPlace::Custom("/elsewhere/prm".to_owned())];
                });
                let served = served.unwrap();
                enter!($run; $($await)?; {
                    let manager = AuthorizationManager::new(served.mcp_url()).unwrap();
                    manager.log_in(&parts::browses)$(.$await)?.unwrap();
                    // With a usable grant nothing is asked.
                    manager.log_in(&parts::browses)$(.$await)?.unwrap();
                    // So it is for whoever asks the session itself.
                    let manager = AuthorizationManager::builder(served.mcp_url());
                    let manager = manager.person(parts::browses).build().unwrap();
                    for _ in 0..2 {
                        let asked = manager.session().log_in(&ScopeSet::empty())$(.$await)?;
                        asked.unwrap().outcome.unwrap();
                    }
                });
                let model = served.lock();
                assert_eq!((model.count(Endpoint::Mcp), model.count(Endpoint::PrmCustom)), (2, 2));
                assert_eq!(model.count(Endpoint::PrmPath) + model.count(Endpoint::PrmRoot), 0);
            }

            #[test]
            fn a_code_alone_is_taken_where_nothing_better_is_promised_iss_03() {
                for (promised, profile, expected) in [
                    (false, Profile::Standard, None),
                    (true, Profile::Standard, Some(Kind::IssMissing)),
                    (false, Profile::Strict, Some(Kind::CallbackMalformed)),
                ] {
                    let served = embedded(|settings| {
                        for server in settings.servers_mut() {
                            let iss = if promised { IssMode::Sent } else { IssMode::Absent };
                            server.callback.iss = iss;
                        }
                    });
                    let served = served.unwrap();
                    enter!($run; $($await)?; {
                        let config = Config::builder(served.mcp_url()).profile(profile);
                        let manager = AuthorizationManager::new(config).unwrap();
                        let session = AuthorizationSession::new(manager, &[], REDIRECT)$(.$await)?;
                        let session = session.unwrap();
                        let there = agree(session.get_authorization_url().unwrap());
                        let code = there.split_once("code=").unwrap().1.split('&').next().unwrap();
                        let taken = session.handle_callback(code)$(.$await)?;
                        assert_eq!(taken.as_ref().err().map(kind), expected, "{promised} {profile:?}");
                        // The login waits for the whole of it.
                        if expected.is_some() {
                            session.handle_callback(there)$(.$await)?.unwrap();
                        }
                    });
                }
            }

            #[test]
            fn another_redirect_uri_finds_what_was_granted_to_the_first() {
                let served = served();
                enter!($run; $($await)?; {
                    let manager = AuthorizationManager::new(served.mcp_url()).unwrap();
                    let first = AuthorizationSession::new(manager.clone(), &[], REDIRECT)$(.$await)?;
                    let first = first.unwrap();
                    let there = agree(first.get_authorization_url().unwrap());
                    let granted = first.handle_callback(there)$(.$await)?.unwrap();
                    for redirect in [REDIRECT, "http://127.0.0.1:2/other"] {
                        let next = AuthorizationSession::new(manager.clone(), &[], redirect)$(.$await)?;
                        let next = next.unwrap();
                        assert_eq!(next.get_authorization_url(), None, "{redirect}");
                        let held = next.credentials().unwrap();
                        assert_eq!(held.access_token(), granted.access_token(), "{redirect}");
                    }
                });
                assert_eq!(served.lock().count(Endpoint::Token), 1);
            }

            #[test]
            fn a_login_that_is_dropped_is_given_up_host_195() {
                let served = served();
                enter!($run; $($await)?; {
                    let manager = AuthorizationManager::new(served.mcp_url()).unwrap();
                    let session = AuthorizationSession::new(manager.clone(), &[], REDIRECT)$(.$await)?;
                    let session = session.unwrap();
                    let there = agree(session.get_authorization_url().unwrap());
                    drop(session);
                    let next = AuthorizationSession::new(manager.clone(), &[], REDIRECT)$(.$await)?;
                    let next = next.unwrap();
                    let stale = next.handle_callback(there)$(.$await)?;
                    assert_eq!(kind(&stale.unwrap_err()), Kind::StateMismatch);
                    let there = agree(next.get_authorization_url().unwrap());
                    next.handle_callback(there)$(.$await)?.unwrap();
                });
                assert_eq!(served.lock().count(Endpoint::Token), 1);
            }

            #[test]
            fn one_call_asks_a_person_once_nat_07() {
                let served = served();
                enter!($run; $($await)?; {
                    for person in [parts::browses, parts::pastes] {
                        let shown = Arc::new(AtomicUsize::new(0));
                        let count = Arc::clone(&shown);
                        let person = move |visit: &_, answers: Answers| {
                            count.fetch_add(1, Ordering::SeqCst);
                            assert!(answers.awaited());
                            person(visit, answers);
                        };
                        let manager = AuthorizationManager::new(served.mcp_url()).unwrap();
                        let granted = manager.log_in(&person)$(.$await)?.unwrap();
                        let again = manager.log_in(&person)$(.$await)?.unwrap();
                        assert_eq!((granted.epoch(), 1), (again.epoch(), shown.load(Ordering::SeqCst)));
                    }
                });
            }

            #[test]
            fn a_login_that_fails_says_why() {
                let served = served();
                served.lock().set(|settings| {
                    for server in settings.servers_mut() {
                        server.consent = Consent::Deny;
                    }
                });
                enter!($run; $($await)?; {
                    let manager = AuthorizationManager::new(served.mcp_url()).unwrap();
                    let denied = manager.log_in(&parts::browses)$(.$await)?;
                    assert_eq!(kind(&denied.unwrap_err()), Kind::AuthorizationDenied);
                });
            }

            #[test]
            fn a_store_spares_the_next_program_the_login() {
                let (served, store) = (served(), MemoryStore::new());
                enter!($run; $($await)?; {
                    for _ in 0..2 {
                        let builder = AuthorizationManager::builder(served.mcp_url());
                        let manager = builder.store(store.clone()).build().unwrap();
                        manager.log_in(&parts::browses)$(.$await)?.unwrap();
                        $(manager.session().quiet().$await;)?
                    }
                    let manager = AuthorizationManager::builder(served.mcp_url()).store(store).build();
                    manager.unwrap().forget()$(.$await)?.unwrap();
                });
                assert_eq!(served.lock().count(Endpoint::Authorize), 1);
                assert_eq!(served.lock().count(Endpoint::Revoke), 2, "both tokens");
            }

            /// A server that has forgotten everybody need not say so: it answers the refresh with
            /// `invalid_grant`, and shows the person an error page of its own. The login after the one
            /// that ended there registers anew.
            #[test]
            fn a_forgotten_registration_is_replaced_reg_93() {
                let (served, store) = (served(), MemoryStore::new());
                served.lock().set(|settings| {
                    let hides = |server: &mut Server| server.hides_unknown_clients = true;
                    settings.servers_mut().for_each(hides);
                });
                let (url, pages) = (served.mcp_url(), Arc::new(Mutex::new(Vec::new())));
                enter!($run; $($await)?; {
                    let manager = AuthorizationManager::builder(url).store(store.clone());
                    manager.build().unwrap().log_in(&parts::browses)$(.$await)?.unwrap();
                    served.lock().forget_clients();
                    served.lock().revoke_access_tokens();
                    let looked = Arc::clone(&pages);
                    let looks = move |visit: &Visit, _: Answers| {
                        looked.lock().unwrap().push(parts::get(visit.url()));
                    };
                    let within = |callback| {
                        Config::builder(url).times(Times { callback, ..Times::default() })
                    };
                    let hasty = within(Duration::from_secs(1));
                    let manager = AuthorizationManager::builder(hasty).store(store.clone());
                    let client = AuthorizedHttpClient::new(manager.person(looks).build().unwrap(), None);
                    match client.post_json::<Value>(url, &initialize(1))$(.$await)? {
                        Err(ExchangeError::Refused { failure, .. }) => {
                            assert_eq!(failure.kind(), Kind::CallbackTimeout);
                        }
                        other => panic!("{other:?}"),
                    }
                    assert_eq!(served.lock().count(Endpoint::Register), 1);
                    let patient = within(Duration::from_secs(20));
                    let manager = AuthorizationManager::builder(patient).store(store);
                    let manager = manager.person(parts::browses).build().unwrap();
                    let client = AuthorizedHttpClient::new(manager, None);
                    client.post_json::<Value>(url, &initialize(2))$(.$await)?.unwrap();
                });
                let pages = pages.lock().unwrap();
                assert!(matches!(&pages[..], [page] if !page.contains("location:")), "{pages:?}");
                assert_eq!(served.lock().count(Endpoint::Register), 2);
            }

            #[test]
            fn a_client_sends_the_token_where_it_may_go_use_01_use_07() {
                let served = served();
                enter!($run; $($await)?; {
                    let manager = AuthorizationManager::builder(served.mcp_url());
                    let manager = manager.person(parts::browses).build().unwrap();
                    let client = AuthorizedHttpClient::new(manager.clone(), None);
                    // The first request is refused, and the manager's person logs in.
                    let url = served.mcp_url();
                    let answer: Value = client.post_json(url, &initialize(1))$(.$await)?.unwrap();
                    assert_eq!(answer["id"], 1);
                    let body = initialize(2).to_string();
                    let answer = client.post(url, body)$(.$await)?.unwrap();
                    assert_eq!(answer.status(), 200);
                    let mut read = Vec::new();
                    let mut body = answer.into_body();
                    while let Some(piece) = body.piece(Duration::from_secs(5))$(.$await)?.unwrap() {
                        read.extend_from_slice(&piece);
                    }
                    assert!(String::from_utf8(read).unwrap().contains("\"id\":2"));
                    let elsewhere = client.get("https://elsewhere.example/")$(.$await)?;
                    match elsewhere.map(drop) {
                        Err(ExchangeError::Unsent(failure)) => {
                            assert_eq!(failure.kind(), Kind::OriginMismatch);
                        }
                        other => panic!("{other:?}"),
                    }
                    let own = Request::get(url).header("authorization", "Bearer mine");
                    let own = client.request(own.body(Vec::new()).unwrap())$(.$await)?;
                    assert!(matches!(own.map(drop), Err(ExchangeError::Unsent(_))), "HOST-259");
                    // A token that is revoked meanwhile is renewed behind the call.
                    served.lock().revoke_access_tokens();
                    client.post_json::<Value>(url, &initialize(3))$(.$await)?.unwrap();
                    let bare = url.trim_start_matches("http://");
                    match client.get(bare)$(.$await)?.map(drop) {
                        Err(ExchangeError::Unsent(failure)) => {
                            let write = format!("the scheme is missing, write {url}");
                            assert_eq!(failure.hint(), Some(&*write));
                        }
                        other => panic!("{other:?}"),
                    }
                    // An answer that is no JSON, or no success, is reported as such.
                    let missing = client.get_json::<Value>(&format!("{url}/none"))$(.$await)?;
                    assert!(matches!(missing, Err(ExchangeError::Unfit { .. })), "{missing:?}");
                });
                assert_eq!(served.lock().count(Endpoint::Authorize), 1);
            }

            #[test]
            fn without_a_person_a_client_says_that_one_is_needed() {
                let served = served();
                enter!($run; $($await)?; {
                    let manager = AuthorizationManager::new(served.mcp_url()).unwrap();
                    let client = AuthorizedHttpClient::new(manager, None);
                    match client.post_json::<Value>(served.mcp_url(), &initialize(1))$(.$await)? {
                        Err(ExchangeError::Refused { failure, answer }) => {
                            assert_eq!(failure.kind(), Kind::ReauthorizationRequired);
                            assert_eq!(answer.status(), 401);
                        }
                        other => panic!("{other:?}"),
                    }
                    let asked = Exchange::new(Request::get(served.mcp_url()).body(Vec::new()).unwrap());
                    let answered = client.exchange(asked)$(.$await)?;
                    assert!(matches!(answered.map(drop), Err(ExchangeError::Refused { .. })));
                });
                assert_eq!(served.lock().count(Endpoint::Register), 0);
            }

            #[test]
            fn a_connection_that_may_ask_nobody_does_not_ask_the_managers_person() {
                let served = served();
                enter!($run; $($await)?; {
                    let manager = AuthorizationManager::builder(served.mcp_url());
                    let manager = manager.person(parts::browses).build().unwrap();
                    let settings = Settings::new("t", "1").may_ask(false);
                    let refused = manager.connect(settings)$(.$await)?.map(drop).unwrap_err();
                    assert_eq!(refused.code(), Kind::ReauthorizationRequired.code());
                });
                assert_eq!(served.lock().count(Endpoint::Authorize), 0);
            }

            #[test]
            fn a_finished_login_leaves_later_pages_to_the_managers_person() {
                let served = served();
                enter!($run; $($await)?; {
                    let manager = AuthorizationManager::builder(served.mcp_url());
                    let manager = manager.person(parts::pastes).build().unwrap();
                    let session = AuthorizationSession::new(manager.clone(), &[], REDIRECT)$(.$await)?;
                    let session = session.unwrap();
                    let there = agree(session.get_authorization_url().unwrap());
                    session.handle_callback(there)$(.$await)?.unwrap();
                    served.lock().revoke_all();
                    let client = AuthorizedHttpClient::new(manager, None);
                    client.post_json::<Value>(served.mcp_url(), &initialize(1))$(.$await)?.unwrap();
                    drop(session);
                });
                assert_eq!(served.lock().count(Endpoint::Authorize), 2);
            }

            #[test]
            fn a_finished_login_takes_the_callback_of_the_next_one() {
                for consent in [Consent::Auto, Consent::Deny] {
                    let served = served();
                    let page = Arc::new(Mutex::new(None));
                    let shows = Arc::clone(&page);
                    let person = move |visit: &Visit, _: Answers| {
                        *shows.lock().unwrap() = Some(visit.url().to_owned());
                    };
                    let (session, first) = enter!($run; $($await)?; {
                        let manager = AuthorizationManager::builder(served.mcp_url());
                        let manager = manager.person(person).build().unwrap();
                        let session = AuthorizationSession::new(manager, &[], REDIRECT)$(.$await)?;
                        let session = session.unwrap();
                        let there = agree(session.get_authorization_url().unwrap());
                        let granted = session.handle_callback(there)$(.$await)?.unwrap();
                        (session, granted)
                    });
                    served.lock().revoke_all();
                    served.lock().set(|settings| {
                        settings.servers_mut().for_each(|server| server.consent = consent.clone());
                    });
                    thread::scope(|scope| {
                        let client = AuthorizedHttpClient::new(session.manager().clone(), None);
                        let url = served.mcp_url();
                        let asked = scope.spawn(move || {
                            enter!($run; $($await)?; {
                                client.post_json::<Value>(url, &initialize(1))$(.$await)?.is_ok()
                            })
                        });
                        let shown = || page.lock().unwrap().take();
                        let url = loop {
                            thread::sleep(Duration::from_millis(5));
                            if let Some(url) = shown() {
                                break url;
                            }
                        };
                        let there = agree(&url);
                        let ended = enter!($run; $($await)?; {
                            session.handle_callback(there)$(.$await)?
                        });
                        assert_eq!(asked.join().unwrap(), ended.is_ok());
                        match ended {
                            Ok(granted) => assert!(granted.epoch() > first.epoch()),
                            Err(error) => assert_eq!(kind(&error), Kind::AuthorizationDenied),
                        }
                    });
                }
            }

            #[test]
            fn many_logins_at_once_are_one_page_that_is_opened_once_host_172() {
                let served = served();
                let manager = enter!($run; $($await)?; {
                    AuthorizationManager::new(served.mcp_url()).unwrap()
                });
                let (shown, opened) = (AtomicUsize::new(0), AtomicUsize::new(0));
                let person = |visit: &Visit, answers: Answers| {
                    shown.fetch_add(1, Ordering::SeqCst);
                    if !visit.reissued {
                        opened.fetch_add(1, Ordering::SeqCst);
                    }
                    let url = visit.url().to_owned();
                    if shown.load(Ordering::SeqCst) == 4 {
                        thread::spawn(move || answers.give(agree(&url), |_| {}));
                    }
                };
                thread::scope(|scope| {
                    for _ in 0..4 {
                        scope.spawn(|| {
                            enter!($run; $($await)?; { manager.log_in(&person)$(.$await)?.unwrap() })
                        });
                    }
                });
                assert_eq!((shown.into_inner(), opened.into_inner()), (4, 1));
            }

            #[test]
            fn a_page_is_not_shown_for_a_login_with_another_redirect_uri() {
                let served = served();
                let manager = enter!($run; $($await)?; {
                    AuthorizationManager::new(served.mcp_url()).unwrap()
                });
                let pages = Mutex::new(Vec::new());
                let person = |visit: &Visit, answers: Answers| {
                    pages.lock().unwrap().push((visit.url().to_owned(), answers));
                };
                thread::scope(|scope| {
                    let first = scope.spawn(|| {
                        enter!($run; $($await)?; { manager.log_in(&person)$(.$await)?.map(drop) })
                    });
                    while pages.lock().unwrap().is_empty() {
                        thread::sleep(Duration::from_millis(5));
                    }
                    enter!($run; $($await)?; {
                        let next = AuthorizationSession::new(manager.clone(), &[], REDIRECT)$(.$await)?;
                        let next = next.unwrap();
                        let there = agree(next.get_authorization_url().unwrap());
                        next.handle_callback(there)$(.$await)?.unwrap();
                    });
                    let mut shown = core::mem::take(&mut *pages.lock().unwrap());
                    let (url, answers) = shown.remove(0);
                    answers.give(agree(&url), |_| {});
                    first.join().unwrap().unwrap();
                    assert!(shown.is_empty(), "the other login's page");
                });
            }

            #[test]
            fn an_observer_that_waits_for_a_login_is_refused() {
                let served = served();
                let waits = Arc::new(Mutex::new(None::<Arc<AuthorizationSession>>));
                let heard = Arc::new(Mutex::new(Vec::new()));
                let (slot, hears) = (Arc::clone(&waits), Arc::clone(&heard));
                let observer = Hears(move || {
                    let Some(session) = slot.lock().unwrap().take() else { return };
                    let waited = waited!(session.wait() $(, $await)?);
                    hears.lock().unwrap().push(waited.map(drop).unwrap_err());
                });
                enter!($run; $($await)?; {
                    let manager = AuthorizationManager::builder(served.mcp_url());
                    let manager = manager.observer(observer).build().unwrap();
                    let session = AuthorizationSession::new(manager, &[], REDIRECT)$(.$await)?;
                    let session = Arc::new(session.unwrap());
                    *waits.lock().unwrap() = Some(Arc::clone(&session));
                    let there = agree(session.get_authorization_url().unwrap());
                    session.handle_callback(there)$(.$await)?.unwrap();
                });
                let heard = heard.lock().unwrap();
                assert!(matches!(heard[..], [AuthorizeError::Drive(DriveError::Reentered)]), "{heard:?}");
            }

            #[test]
            fn a_client_of_ones_own_carries_the_requests() {
                let served = served();
                enter!($run; $($await)?; {
                    let ports = Client::builder().build().unwrap();
                    let own = parts::own::$name().unwrap_or_else(|| ports.http().clone());
                    let manager = AuthorizationManager::builder(served.mcp_url()).ports(ports);
                    let manager = manager.person(parts::browses).build().unwrap();
                    let client = AuthorizedHttpClient::new(manager, Some(own));
                    client.post_json::<Value>(served.mcp_url(), &initialize(1))$(.$await)?.unwrap();
                });
                let model = served.lock();
                let agents = model.seen_at(Endpoint::Mcp).map(|seen| seen.headers["user-agent"].clone());
                let expected = if parts::own::$name().is_some() { "mine" } else { "mcp-authz" };
                assert!(agents.into_iter().all(|agent| agent.to_str().unwrap().starts_with(expected)));
            }

            #[test]
            fn a_configuration_that_cannot_be_is_refused_at_once() {
                enter!($run; $($await)?; {
                    assert!(AuthorizationManager::new("http://mcp.example/mcp".to_owned()).is_err());
                    let manager = AuthorizationManager::new("https://mcp.example/mcp").unwrap();
                    for redirect in ["http://elsewhere.example/cb", "nonsense", "myapp://cb"] {
                        let refused = AuthorizationSession::new(manager.clone(), &[], redirect)$(.$await)?;
                        assert!(matches!(refused.map(drop), Err(AuthorizeError::Failed(_))), "{redirect}");
                    }
                    let scopes = AuthorizationSession::new(manager, &["two words"], REDIRECT)$(.$await)?;
                    assert_eq!(kind(&scopes.map(drop).unwrap_err()), Kind::ConfigInvalid);
                });
            }
        }
    };
}
