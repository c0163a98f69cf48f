//! What a challenge says of itself: in the failure it leads to, and as a wish for more scope (STEP-91).

use http::Method;
use mcp_authz_core::input::WaiterId;
use mcp_authz_tests::sim::Sim;

use crate::given::{RESOURCE, at, by_hand, discover, logged_in, refresh, resource, tokens};

const NARROW: &str = r#"Bearer error="insufficient_scope", scope="files:write""#;
const NAMED: &str = r#"Bearer error="invalid_token", error_description="no", scope="files:write""#;

/// A refusal with this status and challenge; `again` after what the caller was given for it before.
fn refused(sim: &mut Sim, status: u16, challenge: &str, again: bool) -> WaiterId {
    let epoch = sim.published().map(|granted| granted.epoch());
    sim.refused_with(epoch, status, challenge, "tools/list", again, true)
}

scripts! {
    /// More scope is asked for at once, though a refresh token is there: it could widen nothing.
    a_401_for_want_of_scope_is_a_step_up_step_91(sim = by_hand()) {
        logged_in(sim, &tokens(1, 3600));
        let caller = refused(sim, 401, NARROW, false);
        discover(sim);
        let visit = sim.expect_visit();
        assert_eq!(visit.param("scope").as_deref(), Some("files:read files:write"));
        visit.arrive_with_code("");
        crate::given::exchange(sim).reply_json(200, &tokens(2, 3600));
        assert_eq!(sim.expect_granted(caller).access_token().expose(), at(2));
        // Within the limits of step-up: it has been asked for, and did not help (STEP-08).
        let second = refused(sim, 401, NARROW, true);
        sim.expect_failed(second, "step_up_ineffective");
        sim.expect_no_call();
    }

    /// Without a token there is nothing to step up from: it is a login, for what is named.
    a_401_for_want_of_scope_without_a_token_is_a_login_step_91(sim = by_hand()) {
        let caller = sim.refused_with(None, 401, NARROW, "tools/list", false, true);
        discover(sim);
        crate::given::register(sim, "c1");
        let visit = sim.expect_visit();
        assert_eq!(visit.param("scope").as_deref(), Some("files:write"));
        visit.arrive_with_code("");
        crate::given::exchange(sim).reply_json(200, &tokens(1, 3600));
        sim.expect_granted(caller);
    }

    /// A refresh brought no relief, and the refusal names a scope that nobody has asked for.
    a_401_that_names_more_scope_after_a_refresh_is_a_step_up_step_91(sim = by_hand()) {
        logged_in(sim, &tokens(1, 3600));
        let first = refused(sim, 401, NAMED, false);
        refresh(sim, 1).reply_json(200, &tokens(2, 3600));
        sim.expect_granted(first);
        let second = refused(sim, 401, NAMED, true);
        discover(sim);
        let visit = sim.expect_visit();
        assert_eq!(visit.param("scope").as_deref(), Some("files:read files:write"));
        visit.arrive_with_code("");
        crate::given::exchange(sim).reply_json(200, &tokens(3, 3600));
        assert_eq!(sim.expect_granted(second).access_token().expose(), at(3));
    }

    /// Others succeed with the fresh token meanwhile: the scope is lacking all the same.
    a_401_that_names_more_scope_is_a_step_up_whoever_succeeds_step_91(sim = by_hand()) {
        logged_in(sim, &tokens(1, 3600));
        let first = refused(sim, 401, NAMED, false);
        refresh(sim, 1).reply_json(200, &tokens(2, 3600));
        sim.expect_granted(first);
        sim.accept();
        let second = refused(sim, 401, NAMED, true);
        discover(sim);
        assert_eq!(sim.expect_visit().param("scope").as_deref(), Some("files:read files:write"));
        sim.expect_waiting(second);
    }

    /// A server that widens a token in place has refused no token.
    a_401_for_want_of_scope_refuses_no_token_step_91(sim = by_hand()) {
        logged_in(sim, &tokens(1, 3600));
        let caller = refused(sim, 401, NARROW, false);
        discover(sim);
        let mut widened = tokens(1, 3600);
        widened["scope"] = serde_json::json!("files:read files:write");
        crate::given::approve(sim).reply_json(200, &widened);
        assert_eq!(sim.expect_granted(caller).access_token().expose(), at(1));
    }

    /// A caller who fixed the scopes wants no others.
    fixed_scopes_are_not_widened_by_a_401_step_91_scope_06(
        sim = Sim::by_hand(|config| config.scopes(&["files:read"]))
    ) {
        logged_in(sim, &tokens(1, 3600));
        let first = refused(sim, 401, NAMED, false);
        refresh(sim, 1).reply_json(200, &tokens(2, 3600));
        sim.expect_granted(first);
        let second = refused(sim, 401, NAMED, true);
        sim.expect_call(Method::GET, RESOURCE).reply_json(200, &resource(&[]));
        let failure = sim.expect_failed(second, "unauthorized_after_refresh");
        assert_eq!(failure.scope(), Some("files:write"));
        let said = failure.said().expect("the server has said something");
        assert_eq!((said.error.as_str(), said.description.as_deref()), ("invalid_token", Some("no")));
        sim.expect_no_visit();
    }

    /// A 403 that names a scope and no error is forbidden, and says which scope was named (STEP-11).
    a_403_that_names_a_scope_says_so_step_91_step_11(sim = by_hand()) {
        logged_in(sim, &tokens(1, 3600));
        let caller = refused(sim, 403, r#"Bearer scope="files:admin""#, false);
        let failure = sim.expect_failed(caller, "forbidden");
        assert_eq!(failure.scope(), Some("files:admin"));
        assert!(failure.to_string().contains("files:admin"), "{failure}");
        sim.expect_no_call();
    }

    /// Whoever may ask nobody hears the server's words, and none of our secrets in them.
    a_quiet_caller_hears_the_words_without_secrets_step_91_host_303_host_325(sim = by_hand()) {
        logged_in(sim, &crate::given::access_only(1, 3600));
        let epoch = sim.published().map(|granted| granted.epoch());
        let words = "Bearer error=\"invalid_token\", error_description=\"AT-CANARY-1 is \u{1b}[31mover\"";
        let words = words.replace('\u{1b}', "");
        let caller = sim.refused_with(epoch, 401, &words, "tools/list", false, false);
        let failure = sim.expect_failed(caller, "reauthorization_required");
        let text = failure.to_string();
        assert!(text.contains("[redacted] is [31mover"), "{text}");
        assert!(!text.contains("CANARY"), "{text}");
    }
}
