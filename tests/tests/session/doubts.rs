//! A server that has forgotten a client need not say so: it answers a refresh with `invalid_grant`,
//! shows an error page of its own, and sends nobody back.

use http::Method;
use mcp_authz_core::effect::{RecordKind, Stored};
use mcp_authz_tests::model::{Endpoint, Settings};
use mcp_authz_tests::sim::Sim;
use serde_json::{Value, json};

use crate::given::{
    access_only, approve, by_hand, discover, discover_with, error, kept, logged_in, refresh,
    register, resource, server, tokens,
};

const DAY: u64 = 24 * 3600;

/// A server that says of a client that is gone only that its refresh token is unknown.
fn forgets() -> Sim {
    let mut settings = Settings::revision("2026-07-28");
    settings.server.hides_unknown_clients = true;
    Sim::against(settings, |config| config.persistent(true))
}

/// The record of the registration.
fn client(sim: &mut Sim) -> Value {
    let mut documents = sim.store().documents(RecordKind::Client);
    assert_eq!(documents.len(), 1);
    documents.remove(0)
}

/// A login with this registration begins at this second, and no callback comes.
#[track_caller]
fn ends_in_silence(sim: &mut Sim, second: u64, client_id: &str) {
    let waiter = sim.at(second).acquire("files:read");
    discover(sim);
    assert_eq!(sim.expect_visit().param("client_id").as_deref(), Some(client_id));
    sim.expect_no_call();
    sim.at(second + 301);
    sim.expect_failed(waiter, "callback_timeout");
}

/// The same with a registration that is made for it.
#[track_caller]
fn ends_in_silence_registered(sim: &mut Sim, second: u64, client_id: &str) {
    let waiter = sim.at(second).acquire("files:read");
    discover(sim);
    register(sim, client_id);
    assert_eq!(sim.expect_visit().param("client_id").as_deref(), Some(client_id));
    sim.at(second + 301);
    sim.expect_failed(waiter, "callback_timeout");
}

/// A login with this registration begins at this second, and succeeds.
#[track_caller]
fn succeeds(sim: &mut Sim, second: u64, client_id: &str, answer: &Value) {
    let waiter = sim.at(second).acquire("files:read");
    discover(sim);
    let visit = sim.expect_visit();
    assert_eq!(visit.param("client_id").as_deref(), Some(client_id));
    visit.arrive_with_code("");
    crate::given::exchange(sim).reply_json(200, answer);
    sim.expect_granted(waiter);
}

scripts! {
    /// An approval shows that the server knows the client, whatever becomes of the code.
    a_code_that_a_copy_has_sent_clears_a_doubt_reg_93_host_184(sim = kept()) {
        ends_in_silence_registered(sim, 0, "c1");
        ends_in_silence(sim, 1000, "c1");
        assert!(client(sim).get("silent").is_some(), "{}", client(sim));
        let waiter = sim.at(2000).acquire("files:read");
        discover(sim);
        sim.store().answer("intend", Some(Stored::Standing { made_by_the_living: true }));
        sim.expect_visit().arrive_with_code("");
        sim.expect_failed(waiter, "callback_used");
        assert!(client(sim).get("silent").is_none(), "{}", client(sim));
    }

    /// The same where the store cannot say whether a copy has sent it.
    a_code_that_cannot_be_looked_up_clears_a_doubt_reg_93_host_184(sim = kept()) {
        if sim.restarting() {
            return; // the restart of this script is its own
        }
        ends_in_silence_registered(sim, 0, "c1");
        ends_in_silence(sim, 1000, "c1");
        assert!(client(sim).get("silent").is_some(), "{}", client(sim));
        let waiter = sim.at(2000).acquire("files:read");
        discover(sim);
        sim.restart();
        sim.store().answer("load", None);
        sim.expect_visit().arrive_with_code("");
        sim.at(2031);
        sim.store().heal();
        sim.expect_failed(waiter, "store_unavailable");
        assert!(client(sim).get("silent").is_none(), "{}", client(sim));
    }

    the_second_run_after_a_server_forgot_everybody_logs_in_reg_93(sim = forgets()) {
        let waiter = sim.acquire("");
        sim.log_in();
        sim.expect_granted(waiter);
        sim.model().forget_clients();
        sim.model().revoke_access_tokens();
        sim.new_process(|config| config.persistent(true));
        let waiter = sim.acquire("");
        sim.serve();
        sim.expect_granted(waiter);
        let waiter = sim.call_tool("echo", false).expect_err("the token is revoked");
        sim.serve();
        // The refresh was refused by `invalid_grant`; the server's own page sends nobody back.
        sim.expect_visit();
        assert_eq!(sim.model().count(Endpoint::Register), 1);
        sim.at(400);
        sim.expect_failed(waiter, "callback_timeout");
        sim.new_process(|config| config.persistent(true));
        let waiter = sim.acquire("");
        sim.log_in();
        sim.expect_granted(waiter);
        assert_eq!(sim.model().count(Endpoint::Register), 2);
        sim.call_tool("echo", false).expect("the new token is good");
    }

    /// The registration that is replaced may be good for whoever has a grant of it.
    a_second_account_refreshes_with_the_old_registration_reg_93(sim = kept()) {
        logged_in(sim, &tokens(1, 60));
        sim.new_process(|config| config.persistent(true).account("second"));
        succeeds(sim, 1, "c1", &tokens(2, 60));
        sim.new_process(|config| config.persistent(true));
        let waiter = sim.at(60).acquire("files:read");
        refresh(sim, 1).reply_json(400, &error("invalid_grant"));
        discover(sim);
        assert_eq!(sim.expect_visit().param("client_id").as_deref(), Some("c1"));
        sim.at(361);
        sim.expect_failed(waiter, "callback_timeout");
        let waiter = sim.acquire("files:read");
        discover(sim);
        register(sim, "c2");
        approve(sim).reply_json(200, &tokens(3, 3600));
        sim.expect_granted(waiter);
        assert_eq!(client(sim)["credentials"]["client_id"], "c2");
        // The other account knows nothing of that.
        sim.new_process(|config| config.persistent(true).account("second"));
        let caller = sim.acquire("files:read");
        let call = refresh(sim, 2);
        assert_eq!(call.form("client_id"), ["c1"]);
        call.reply_json(200, &tokens(4, 3600));
        sim.expect_granted(caller);
        sim.expect_no_visit();
        // Its own next login is one with the new registration.
        sim.forget();
        succeeds(sim, 362, "c2", &tokens(5, 3600));
    }

    /// So it is where the server says at the token endpoint that it does not know the client.
    a_second_account_refreshes_after_a_refused_code_reg_21_host_217(sim = kept()) {
        logged_in(sim, &tokens(1, 60));
        sim.new_process(|config| config.persistent(true).account("second"));
        succeeds(sim, 1, "c1", &tokens(2, 60));
        sim.new_process(|config| config.persistent(true).account("third"));
        let waiter = sim.acquire("files:read");
        discover(sim);
        approve(sim).reply_json(401, &error("invalid_client"));
        register(sim, "c2");
        approve(sim).reply_json(200, &tokens(3, 3600));
        sim.expect_granted(waiter);
        for (account, number) in [(None, 1), (Some("second"), 2)] {
            sim.new_process(|config| {
                let config = config.persistent(true);
                account.into_iter().fold(config, |config, name| config.account(name))
            });
            let caller = sim.at(60 + u64::from(number)).acquire("files:read");
            let call = refresh(sim, number);
            assert_eq!(call.form("client_id"), ["c1"]);
            call.reply_json(200, &tokens(number + 10, 3600));
            sim.expect_granted(caller);
        }
    }

    /// One that nobody knows any more is taken from the record, and nothing else of it.
    an_old_registration_that_is_refused_is_given_up_alone_reg_21_reg_93(sim = kept()) {
        logged_in(sim, &tokens(1, 60));
        sim.new_process(|config| config.persistent(true).account("second"));
        ends_in_silence(sim, 1, "c1");
        ends_in_silence(sim, 400, "c1");
        sim.at(800).acquire("files:read");
        discover(sim);
        register(sim, "c2");
        approve(sim).reply_json(200, &tokens(2, 3600));
        sim.new_process(|config| config.persistent(true));
        let caller = sim.acquire("files:read");
        refresh(sim, 1).reply_json(401, &error("invalid_client"));
        discover(sim);
        let visit = sim.expect_visit();
        assert_eq!(visit.param("client_id").as_deref(), Some("c2"));
        visit.arrive_with_code("");
        crate::given::exchange(sim).reply_json(200, &tokens(3, 3600));
        sim.expect_granted(caller);
        assert_eq!(client(sim)["credentials"]["client_id"], "c2");
        assert_eq!(client(sim).get("earlier"), None);
    }

    /// Nobody who closes pages fills a server with registrations, be it in one process or in ten.
    ten_cancelled_logins_are_one_registration_reg_93(sim = kept()) {
        for process in 0..10 {
            let waiter = sim.acquire("files:read");
            discover(sim);
            if process == 0 {
                register(sim, "c1");
            }
            assert_eq!(sim.expect_visit().param("client_id").as_deref(), Some("c1"));
            sim.cancel(waiter);
            sim.expect_failed(waiter, "cancelled");
            assert!(!sim.listens());
            if process % 2 == 1 {
                sim.new_process(|config| config.persistent(true));
            }
        }
        assert_eq!(client(sim)["silent"], 2);
        // The next day another one is tried.
        sim.at(DAY + 1).acquire("files:read");
        discover(sim);
        register(sim, "c2");
        sim.expect_visit();
    }

    /// Cancelled ones after a login that succeeded: one new registration, and no more that day.
    a_registration_is_replaced_once_a_day_reg_93(sim = kept()) {
        logged_in(sim, &access_only(1, 60));
        ends_in_silence(sim, 100, "c1");
        ends_in_silence_registered(sim, 500, "c2");
        for nth in 1..=8 {
            ends_in_silence(sim, 500 + 400 * nth, "c2");
        }
        ends_in_silence_registered(sim, DAY + 501, "c3");
        ends_in_silence(sim, DAY + 1000, "c3");
        assert_eq!(client(sim)["earlier"].as_array().map(Vec::len), Some(2));
        succeeds(sim, DAY + 2000, "c3", &access_only(2, 60));
        // It took the place of another one today.
        ends_in_silence(sim, DAY + 3000, "c3");
        ends_in_silence(sim, DAY + 4000, "c3");
        ends_in_silence_registered(sim, DAY + 501 + DAY, "c4");
    }

    /// Without a store the session itself remembers.
    two_ends_in_a_row_are_a_doubt_reg_93(sim = by_hand()) {
        ends_in_silence_registered(sim, 0, "c1");
        ends_in_silence(sim, 400, "c1");
        ends_in_silence(sim, DAY, "c1");
        ends_in_silence_registered(sim, DAY + 400, "c2");
    }

    one_end_is_a_doubt_where_logins_have_succeeded_reg_93(sim = by_hand()) {
        logged_in(sim, &access_only(1, 60));
        ends_in_silence(sim, 100, "c1");
        sim.at(500).acquire("files:read");
        discover(sim);
        register(sim, "c2");
        approve(sim).reply_json(200, &access_only(2, 60));
        assert_eq!(crate::given::bearer(sim), crate::given::at(2));
    }

    /// Whatever the callback says, the server knows the client.
    any_callback_ends_the_doubt_reg_93(sim = kept()) {
        ends_in_silence_registered(sim, 0, "c1");
        ends_in_silence(sim, 400, "c1");
        ends_in_silence(sim, 800, "c1");
        assert_eq!(client(sim)["silent"], 2);
        let waiter = sim.at(1200).acquire("files:read");
        discover(sim);
        sim.expect_visit().arrive_with("error=access_denied");
        sim.expect_failed(waiter, "authorization_denied");
        assert_eq!(client(sim).get("silent"), None);
        // A code does so too, whatever becomes of it.
        ends_in_silence(sim, 1600, "c1");
        assert_eq!(client(sim)["silent"], 1);
        let waiter = sim.at(2000).acquire("files:read");
        discover(sim);
        approve(sim).reply_json(400, &error("invalid_grant"));
        sim.expect_failed(waiter, "grant_rejected");
        assert_eq!(client(sim).get("silent"), None);
        sim.new_process(|config| config.persistent(true));
        ends_in_silence(sim, DAY, "c1");
        succeeds(sim, DAY + 400, "c1", &tokens(1, 3600));
        assert_eq!(client(sim).get("silent"), None);
        assert_eq!(client(sim).get("again_after"), None);
    }

    /// One whose grant is good is used for that, and for nothing else.
    refreshes_go_on_with_a_doubted_registration_reg_93(sim = kept()) {
        logged_in(sim, &tokens(1, 1000));
        let waiter = sim.acquire("files:write");
        discover(sim);
        sim.expect_visit();
        sim.at(301);
        sim.expect_failed(waiter, "callback_timeout");
        assert_eq!(client(sim)["silent"], 2);
        sim.new_process(|config| config.persistent(true));
        let caller = sim.at(1001).acquire("files:read");
        let call = refresh(sim, 1);
        assert_eq!(call.form("client_id"), ["c1"]);
        call.reply_json(200, &tokens(2, 1000));
        sim.expect_granted(caller);
        sim.acquire("files:write");
        discover(sim);
        register(sim, "c2");
    }

    /// Who hears of the failure may end the program; who comes meanwhile is not settled with it.
    the_doubt_is_written_before_anybody_hears_reg_93(sim = kept()) {
        logged_in(sim, &access_only(1, 60));
        let waiter = sim.at(100).acquire("files:read");
        discover(sim);
        sim.expect_visit();
        sim.store().mute(Some(RecordKind::Client));
        sim.at(401);
        sim.expect_waiting(waiter);
        let late = sim.at(402).acquire("files:read");
        sim.store().mute(None);
        // A store that says nothing holds it up for half a minute.
        sim.at(440);
        if !sim.restarting() {
            sim.expect_failed(waiter, "callback_timeout");
        }
        sim.expect_waiting(late);
        discover(sim);
        register(sim, "c2");
        approve(sim).reply_json(200, &access_only(2, 3600));
        sim.expect_granted(late);
    }

    /// Nobody waits for a mark any more than for a page.
    a_cancelled_login_leaves_its_mark_reg_93(sim = kept()) {
        logged_in(sim, &access_only(1, 60));
        let waiter = sim.at(100).acquire("files:read");
        discover(sim);
        sim.expect_visit();
        sim.cancel(waiter);
        sim.expect_failed(waiter, "cancelled");
        assert_eq!(client(sim)["silent"], 2);
        sim.new_process(|config| config.persistent(true));
        sim.acquire("files:read");
        discover(sim);
        register(sim, "c2");
    }

    /// A page that could not be shown says nothing of the server.
    a_login_without_a_page_is_no_doubt_reg_93(sim = kept()) {
        logged_in(sim, &access_only(1, 60));
        sim.at(100).acquire("files:read");
        sim.expect_call(Method::GET, crate::given::RESOURCE).reply_json(200, &resource(&[]));
        sim.forget();
        sim.break_listener();
        let waiter = sim.at(110).acquire("files:read");
        discover_with(sim, &resource(&[]), &server());
        sim.expect_failed(waiter, "listener_unavailable");
        assert_eq!(client(sim).get("silent"), None);
    }

    /// Another process has registered meanwhile: its registration is marked by nobody's silence.
    a_mark_gives_way_to_a_new_registration_reg_93(sim = kept()) {
        logged_in(sim, &access_only(1, 60));
        let waiter = sim.at(100).acquire("files:read");
        discover(sim);
        sim.expect_visit();
        sim.store().change(RecordKind::Client, |client| {
            client["credentials"]["client_id"] = json!("c9");
        });
        sim.at(401);
        sim.expect_failed(waiter, "callback_timeout");
        assert_eq!(client(sim).get("silent"), None);
        succeeds(sim, 402, "c9", &access_only(2, 60));
    }
}
