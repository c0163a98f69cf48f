//! A port, a store and a restart on the way to a registration: what each of them may hold up.

use http::Method;
use mcp_authz_core::effect::{LoopbackHost, RecordKind};
use mcp_authz_core::failure::Remedy;
use mcp_authz_core::input::WaiterId;
use mcp_authz_tests::model::{Endpoint, RefreshIssue, Settings};
use mcp_authz_tests::sim::Sim;
use serde_json::json;

use crate::by_hand::*;

/// A session whose redirect URI somebody else serves.
fn served_elsewhere() -> Sim {
    Sim::by_hand(|config| config.redirect_uri("https://app.example/cb"))
}

/// The same with a store.
fn kept_elsewhere() -> Sim {
    Sim::by_hand(|config| config.redirect_uri("https://app.example/cb").persistent(true))
}

/// A caller asks, and both documents are found.
fn up_to_registration(sim: &mut Sim) -> WaiterId {
    let waiter = sim.acquire("");
    discovered(sim);
    waiter
}

scripts! {
    nothing_is_registered_where_nothing_can_listen_nat_08_host_197(sim = plain()) {
        sim.break_listener();
        let waiter = up_to_registration(sim);
        let failure = sim.expect_failed(waiter, "listener_unavailable");
        assert_eq!(failure.remedy(), Remedy::Configure);
        sim.expect_no_call();
        sim.expect_no_visit();
    }

    /// Only the person can free it, and has to know which one it is.
    a_port_that_is_taken_is_named_host_197(
        sim = Sim::by_hand(|config| {
            config.redirect_loopback(LoopbackHost::Localhost, Some(4711), "/back")
        })
    ) {
        sim.break_listener();
        let waiter = up_to_registration(sim);
        let failure = sim.expect_failed(waiter, "listener_unavailable");
        let subject = "http://localhost:4711/back: another program has this port";
        assert_eq!(failure.subject(), Some(subject));
    }

    /// No other port and no other server would help.
    a_machine_without_descriptors_registers_nobody_host_281(sim = plain()) {
        sim.exhaust_listener();
        let waiter = up_to_registration(sim);
        let failure = sim.expect_failed(waiter, "machine_exhausted");
        assert_eq!(failure.remedy(), Remedy::Configure);
        assert!(failure.to_string().contains("limits on open files"), "{failure}");
        sim.expect_no_call();
        sim.expect_no_visit();
    }

    a_host_that_never_says_whether_it_listens_nat_08(sim = plain()) {
        sim.silence_listener(true);
        let waiter = up_to_registration(sim);
        sim.restart();
        sim.at(11);
        sim.expect_failed(waiter, "listener_unavailable");
    }

    a_restart_finds_the_way_it_was_on_nat_08(sim = served_elsewhere()) {
        up_to_registration(sim);
        sim.restart();
        registered(sim);
        sim.expect_visit();
    }

    a_restart_looks_into_the_store_again_reg_02(sim = kept_elsewhere()) {
        up_to_registration(sim);
        // Another process may have registered meanwhile.
        sim.restart();
        registered(sim);
        sim.expect_visit();
    }

    a_store_that_is_silent_does_not_stop_a_registration_reg_02_bind_09(
        sim = Sim::by_hand(|config| config.persistent(true))
    ) {
        let waiter = sim.acquire("");
        listed(sim);
        sim.store().silence(true);
        sim.expect_call(Method::GET, SERVER).reply_json(200, &server());
        sim.restart();
        sim.at(31);
        sim.expect_note("store: store_unavailable");
        sim.store().silence(false);
        sim.restart();
        registered(sim);
        agreed(sim, waiter, &tokens());
    }

    a_store_that_is_silent_and_a_restart_reg_02(sim = kept_elsewhere()) {
        sim.acquire("");
        listed(sim);
        sim.store().silence(true);
        sim.expect_call(Method::GET, SERVER).reply_json(200, &server());
        sim.restart();
        sim.store().silence(false);
        sim.restart();
        registered(sim);
        sim.expect_visit();
    }

    a_newer_record_of_a_client_is_left_alone_bind_10(
        sim = {
            let mut settings = Settings::revision("2026-07-28");
            settings.server.tokens.refresh = RefreshIssue::Never;
            Sim::against(settings, |config| config.persistent(true))
        }
    ) {
        let waiter = sim.acquire("");
        sim.log_in();
        sim.expect_granted(waiter);
        // The binding is lost, and a program of tomorrow has written the client's record.
        sim.store().damage(RecordKind::Binding, b"{}");
        sim.store().change(RecordKind::Client, |client| client["format"] = json!(99));
        sim.new_process(|config| config.persistent(true));
        let waiter = sim.acquire("");
        sim.serve();
        sim.expect_failed(waiter, "store_version");
        assert_eq!(sim.model().count(Endpoint::Register), 1);
        assert_eq!(sim.store().documents(RecordKind::Client)[0]["format"], 99);
    }

    restarts_do_not_refill_the_budget_of_a_login_step_16(sim = served_elsewhere()) {
        up_to_registration(sim);
        for _ in 0..24 {
            sim.restart();
        }
        sim.expect_note("failed: request_budget [STEP-16]");
        sim.expect_no_visit();
    }

    neither_does_a_silent_store_step_16(sim = kept_elsewhere()) {
        up_to_registration(sim);
        while sim.requests().len() < 24 {
            sim.restart();
        }
        sim.store().silence(true);
        sim.restart();
        sim.at(31);
        sim.expect_note("failed: request_budget [STEP-16]");
        sim.expect_no_visit();
    }

    /// The page is shown only while something listens for its answer.
    a_restart_while_a_registration_is_saved_listens_again_nat_08(
        sim = Sim::by_hand(|config| config.persistent(true))
    ) {
        let waiter = sim.acquire("");
        crate::given::discover(sim);
        sim.store().mute(Some(RecordKind::Client));
        crate::given::register(sim, "c1");
        sim.expect_no_visit();
        sim.store().mute(None);
        sim.restart();
        // The simulator holds that a page with a loopback address is listened for.
        sim.expect_visit().arrive_with_code("");
        crate::given::exchange(sim).reply_json(200, &crate::given::tokens(1, 3600));
        sim.expect_granted(waiter);
    }

    /// Nobody waits any more: no page is shown for them.
    a_cancelled_login_shows_no_page_host_195(
        sim = Sim::by_hand(|config| config.persistent(true))
    ) {
        let waiter = sim.acquire("");
        crate::given::discover(sim);
        sim.store().mute(Some(RecordKind::Client));
        crate::given::register(sim, "c1");
        sim.cancel(waiter);
        sim.expect_failed(waiter, "cancelled");
        sim.store().mute(None);
        sim.at(60);
        sim.expect_no_visit();
        assert!(!sim.listens());
    }
}
