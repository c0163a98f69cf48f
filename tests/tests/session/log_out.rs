//! Log-out: the tokens are given back to the server, the record is emptied, and both are told.

use http::Method;
use mcp_authz_core::effect::{RecordKind, Revoked, Stored, Why};
use mcp_authz_core::failure::{Kind, Outcome};
use mcp_authz_tests::model::Settings;
use mcp_authz_tests::sim::{Asked, Sim};
use serde_json::{Value, json};

use crate::given::{
    access_only, approve, by_hand, discover_with, error, exchange, held, kept, known_client,
    pause_until, refresh, register, resource, server_with, tokens,
};

const REVOKE: &str = "https://as.example/revoke";

/// A login at a server that can revoke.
fn logged_in_at(mut sim: Sim, members: &Value, answer: &Value) -> Sim {
    sim.acquire("");
    let mut document = server_with(members);
    document["revocation_endpoint"] = json!(REVOKE);
    discover_with(&mut sim, &resource(&[]), &document);
    if members["token_endpoint_auth_methods_supported"].is_null() {
        register(&mut sim, "c1");
    }
    approve(&mut sim).reply_json(200, answer);
    assert_eq!(crate::given::bearer(&sim), held(answer));
    sim
}

fn logged_in(sim: Sim) -> Sim {
    logged_in_at(sim, &json!({}), &tokens(1, 3600))
}

/// The next request revokes this token.
#[track_caller]
fn revokes<'a>(sim: &'a mut Sim, token: &str, hint: &str) -> Asked<'a> {
    let call = sim.expect_call(Method::POST, REVOKE);
    assert_eq!(call.form("token"), [token]);
    assert_eq!(call.form("token_type_hint"), [hint]);
    call
}

#[track_caller]
fn revokes_refresh(sim: &mut Sim) -> Asked<'_> {
    revokes(sim, "RT-CANARY-1", "refresh_token")
}

#[track_caller]
fn revokes_access(sim: &mut Sim) -> Asked<'_> {
    revokes(sim, "AT-CANARY-1", "access_token")
}

/// How the only log-out ended.
#[track_caller]
fn told(sim: &Sim) -> (&Revoked, Option<Kind>) {
    let [forgotten] = sim.forgotten() else { panic!("told: {:?}", sim.forgotten()) };
    (&forgotten.revoked, forgotten.unremoved)
}

/// Nothing of the grant is left in the store.
#[track_caller]
fn removed(sim: &mut Sim) {
    for record in sim.store().documents(RecordKind::Grant) {
        assert_eq!(
            (&record["refresh_token"], &record["access_token"]),
            (&json!(null), &json!(null))
        );
    }
}

#[track_caller]
fn why(revoked: &Revoked) -> Kind {
    match revoked {
        Revoked::Failed(failure) => failure.kind(),
        other => panic!("it did not fail: {other:?}"),
    }
}

scripts! {
    /// Who has just logged out is shown no page for a call made before that.
    a_log_out_while_the_store_is_read_opens_no_page_host_242(sim = kept()) {
        let quiet = sim.acquire_quietly("");
        sim.expect_failed(quiet, "reauthorization_required");
        if sim.restarting() {
            return;
        }
        sim.store().mute(Some(RecordKind::Binding));
        let caller = sim.acquire("");
        sim.expect_waiting(caller);
        sim.forget();
        sim.expect_failed(caller, "cancelled");
        sim.expect_no_call();
        sim.expect_no_visit();
        sim.store().heal();
    }

    a_log_out_gives_everything_back_revk_01_revk_02_revk_03(sim = logged_in(kept())) {
        sim.forget();
        assert!(sim.published().is_none(), "dropped at once");
        let call = revokes_refresh(sim);
        assert_eq!(call.form("client_id"), ["c1"]);
        call.reply(200);
        assert!(sim.forgotten().is_empty(), "it is not over yet");
        revokes_access(sim).respond(200, &[], b"<html>");
        assert!(matches!(told(sim), (Revoked::Done, None)), "{:?}", sim.forgotten());
        removed(sim);
        let quiet = sim.acquire_quietly("");
        sim.expect_failed(quiet, "reauthorization_required");
        sim.expect_no_call();
    }

    a_log_out_without_a_store_gives_back_too_revk_01(sim = logged_in(by_hand())) {
        sim.forget();
        revokes_refresh(sim).reply(200);
        revokes_access(sim).reply(200);
        assert!(matches!(told(sim), (Revoked::Done, None)));
    }

    nothing_is_offered_revk_01_revk_05(sim = kept()) {
        crate::given::logged_in(sim, &tokens(1, 3600));
        sim.forget();
        sim.expect_no_call();
        assert!(matches!(told(sim), (Revoked::NotOffered, None)));
        removed(sim);
        // Once more there is nothing to do, which is told too.
        sim.forget();
        assert!(matches!(sim.forgotten()[1].revoked, Revoked::Nothing));
    }

    /// The record goes whether or not the server can be reached.
    an_unreachable_server_does_not_stop_it_revk_04_revk_05(sim = logged_in(kept())) {
        sim.forget();
        revokes_refresh(sim).not_sent(Why::Connect);
        pause_until(sim, 1);
        revokes_refresh(sim).not_sent(Why::Connect);
        revokes_access(sim).not_sent(Why::Tls);
        let (revoked, unremoved) = told(sim);
        assert_eq!((why(revoked), unremoved), (Kind::Transient, None));
        if let Revoked::Failed(failure) = revoked
            && !sim.restarting()
        {
            assert_eq!(failure.cause(), Some(Why::Connect));
            let seen: Vec<_> = failure.evidence().iter().map(|seen| seen.outcome).collect();
            assert_eq!(seen, [Why::Connect, Why::Connect, Why::Tls].map(Outcome::Lost));
        }
        removed(sim);
    }

    a_busy_server_is_asked_again_when_it_says_revk_04(sim = logged_in(kept())) {
        sim.forget();
        revokes_refresh(sim).respond(503, &[("retry-after", "7")], b"");
        if !sim.restarting() {
            sim.at(6).expect_no_call();
        }
        pause_until(sim, 7);
        revokes_refresh(sim).reply(200);
        // One that wants a longer pause is not waited for.
        revokes_access(sim).respond(503, &[("retry-after", "60")], b"");
        assert_eq!(why(told(sim).0), Kind::Transient);
        removed(sim);
    }

    what_cannot_be_revoked_is_told_revk_04(sim = logged_in(kept())) {
        sim.forget();
        revokes_refresh(sim).reply(200);
        revokes_access(sim).reply_json(400, &error("unsupported_token_type"));
        let (revoked, unremoved) = told(sim);
        assert_eq!((why(revoked), unremoved), (Kind::ServerError, None));
        let Revoked::Failed(failure) = revoked else { return };
        assert!(failure.to_string().contains("unsupported_token_type"), "{failure}");
    }

    a_silent_server_is_not_waited_for_for_ever_revk_05_step_16(sim = logged_in(kept())) {
        sim.forget();
        let _never = revokes_refresh(sim).hold();
        if sim.restarting() {
            return; // each restart sends it anew, with a deadline of its own
        }
        sim.at(31).expect_no_call();
        assert_eq!(why(told(sim).0), Kind::Timeout);
        removed(sim);
    }

    /// The configuration has lost the secret that the client proves itself with.
    a_client_without_its_secret_revokes_nothing_cauth_02(sim = {
        let persistent = |secret| move |config: mcp_authz_core::config::ConfigBuilder| {
            config.persistent(true).pre_registered(known_client(secret))
        };
        let members = json!({ "token_endpoint_auth_methods_supported": ["client_secret_post"] });
        let sim = Sim::by_hand(persistent(Some("SECRET-CANARY")));
        let mut sim = logged_in_at(sim, &members, &tokens(1, 3600));
        sim.new_process(persistent(None));
        sim
    }) {
        sim.forget();
        sim.expect_no_call();
        assert_eq!(why(told(sim).0), Kind::ClientAuthUnsupported);
        removed(sim);
    }

    /// A process that knows only the MCP URL logs out of what the store has.
    what_nobody_has_read_is_given_back_revk_01(sim = logged_in(kept())) {
        sim.new_process(|config| config.persistent(true));
        sim.forget();
        revokes_refresh(sim).reply(200);
        revokes_access(sim).reply(200);
        assert!(matches!(told(sim), (Revoked::Done, None)), "{:?}", sim.forgotten());
        removed(sim);
    }

    a_store_that_does_not_remove_is_told_and_asked_again_revk_05(sim = logged_in(kept())) {
        sim.store().answer("swap", Some(Stored::Failed(Kind::StoreUnavailable)));
        sim.forget();
        revokes_refresh(sim).reply(200);
        revokes_access(sim).reply(200);
        assert!(matches!(told(sim), (Revoked::Done, Some(Kind::StoreUnavailable))));
        sim.store().heal();
        sim.at(40);
        removed(sim);
    }

    /// The program ends while the store is asked for the record, and again while it is emptied.
    a_restart_goes_on_with_a_log_out_host_242_revk_05(sim = logged_in(kept())) {
        sim.new_process(|config| config.persistent(true));
        if sim.restarting() {
            return; // the restarts of this script are its own
        }
        sim.store().answer("load", None);
        sim.forget();
        sim.restart();
        assert!(sim.forgotten().is_empty(), "it is not over yet");
        sim.store().answer("swap", None);
        sim.restart();
        revokes_refresh(sim).reply(200);
        revokes_access(sim).reply(200);
        sim.restart();
        assert!(sim.forgotten().is_empty(), "the record is there yet");
        sim.store().heal();
        sim.restart();
        assert!(matches!(told(sim), (Revoked::Done, None)), "{:?}", sim.forgotten());
        removed(sim);
    }

    /// A log-out ends a login as that is being saved. The mark of its code, which keeps copies of the
    /// login from sending it again, stands on: an empty record does not tell them.
    a_log_out_ends_a_login_as_it_is_saved_host_242_tok_04(sim = kept()) {
        if sim.restarting() {
            return;
        }
        sim.acquire("");
        let mut document = server_with(&json!({}));
        document["revocation_endpoint"] = json!(REVOKE);
        discover_with(sim, &resource(&[]), &document);
        register(sim, "c1");
        let (_, ticket) = approve(sim).hold();
        sim.store().mute(Some(RecordKind::Grant));
        sim.reply_late(ticket, 200, &tokens(1, 3600));
        sim.forget();
        sim.store().heal();
        let released = |sim: &mut Sim| {
            sim.store().log().iter().filter(|line| line.starts_with("release")).count()
        };
        revokes_refresh(sim).reply(200);
        revokes_access(sim).reply(200);
        assert!(matches!(told(sim), (Revoked::Done, None)), "{:?}", sim.forgotten());
        removed(sim);
        assert_eq!(released(sim), 0, "the mark stands");
    }

    /// Another process was told that the grant is dead, and this one is writing that down too: the
    /// callers of that refresh hear of the log-out like those of any other, and get no page.
    a_log_out_ends_the_callers_of_a_grant_that_is_being_marked_host_242(sim = logged_in(kept())) {
        if sim.restarting() {
            return; // the store is asked again, and the callers have an answer
        }
        sim.store().change(RecordKind::Grant, |grant| grant["rejected"] = json!(true));
        sim.store().answer("swap", None);
        let caller = sim.at(3600).acquire("");
        sim.expect_waiting(caller);
        sim.forget();
        sim.expect_failed(caller, "cancelled");
        sim.expect_no_visit();
        sim.store().heal();
    }

    /// What a refresh that was out brings yet is given back, and not taken.
    a_late_rotation_is_given_back_host_242(sim = logged_in(kept())) {
        let caller = sim.at(3600).acquire("");
        let (_, ticket) = refresh(sim, 1).hold();
        sim.forget();
        sim.expect_failed(caller, "cancelled");
        if sim.restarting() {
            return; // the process that sent it is gone
        }
        revokes_refresh(sim).reply(200);
        revokes_access(sim).reply(200);
        sim.at(3601).reply_late(ticket, 200, &tokens(2, 60));
        revokes(sim, "RT-CANARY-2", "refresh_token").reply(200);
        revokes(sim, "AT-CANARY-2", "access_token").reply(200);
        assert!(sim.published().is_none());
        removed(sim);
        assert_eq!((sim.store().leases(), sim.forgotten().len()), (0, 1));
    }

    /// Another process logs out while this one refreshes: what comes belongs to nobody any more.
    a_rotation_that_meets_a_log_out_is_given_back_host_242(sim = logged_in(kept())) {
        let caller = sim.at(3600).acquire_quietly("");
        let (_, ticket) = refresh(sim, 1).hold();
        if sim.restarting() {
            return; // the process that sent it is gone
        }
        sim.store().change(RecordKind::Grant, |grant| {
            grant["access_token"] = json!(null);
            grant["refresh_token"] = json!(null);
            grant["rejected"] = json!(true);
        });
        sim.reply_late(ticket, 200, &tokens(2, 60));
        revokes(sim, "RT-CANARY-2", "refresh_token").reply(200);
        revokes(sim, "AT-CANARY-2", "access_token").reply(200);
        sim.expect_failed(caller, "reauthorization_required");
        assert!(sim.published().is_none());
        assert!(sim.forgotten().is_empty(), "nobody has logged out here");
        removed(sim);
    }

    a_late_login_is_given_back_host_242(sim = kept()) {
        let caller = sim.acquire("");
        let document = server_with(&json!({ "revocation_endpoint": REVOKE }));
        discover_with(sim, &resource(&[]), &document);
        register(sim, "c1");
        sim.expect_visit().arrive_with_code("");
        let (_, ticket) = exchange(sim).hold();
        sim.forget();
        sim.expect_failed(caller, "cancelled");
        if sim.restarting() {
            return; // the process that sent it is gone
        }
        sim.reply_late(ticket, 200, &access_only(1, 60));
        revokes_access(sim).reply(200);
        assert!(sim.published().is_none());
        assert!(sim.store().documents(RecordKind::Grant).is_empty());
    }

    /// Against the model: the server refuses the tokens from then on, and the person logs in again.
    the_server_knows_of_it_revk_01_revk_05(
        sim = Sim::against(Settings::revision("2025-11-25"), |config| config.persistent(true))
    ) {
        let first = sim.acquire("");
        sim.serve();
        sim.expect_visit().approve();
        sim.serve();
        sim.expect_granted(first);
        let now = sim.wall_ms();
        assert_eq!(sim.model().live_refresh_tokens(now), 1);
        sim.forget();
        sim.serve();
        assert!(matches!(told(sim), (Revoked::Done, None)), "{:?}", sim.forgotten());
        removed(sim);
        assert_eq!((sim.model().live_access_tokens(now), sim.model().live_refresh_tokens(now)), (0, 0));
    }
}
