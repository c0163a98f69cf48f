//! Which scopes a first login asks for, by who names them.

use mcp_authz_tests::model::Settings;
use mcp_authz_tests::sim::Sim;
use serde_json::json;

use crate::given::{
    access_only, by_hand, discover, discover_with, exchange, logged_in, register, resource, server,
    server_with,
};

scripts! {
    the_challenge_comes_first_scope_02_scope_05(sim = by_hand()) {
        sim.refused(401, r#"Bearer scope="files:list""#);
        discover_with(sim, &resource(&["files:read"]), &server());
        register(sim, "c1");
        assert_eq!(sim.expect_visit().param("scope").as_deref(), Some("files:list"));
    }
    the_resource_comes_second_scope_03(sim = by_hand()) {
        sim.refused(401, "Bearer");
        let listed = json!({ "scopes_supported": ["other", "unrelated"] });
        let server = server_with(&listed);
        discover_with(sim, &resource(&["files:read", "files:list"]), &server);
        register(sim, "c1");
        let scope = sim.expect_visit().param("scope");
        assert_eq!(scope.as_deref(), Some("files:read files:list"));
    }
    nothing_is_sent_where_nobody_names_any_scope_04_scope_08_scope_09(sim = by_hand()) {
        sim.refused(401, "Bearer");
        let listed = json!({ "scopes_supported": ["other", "offline_access"] });
        discover_with(sim, &resource(&[]), &server_with(&listed));
        register(sim, "c1");
        assert_eq!(sim.expect_visit().param("scope"), None);
    }
    offline_access_is_added_where_it_is_listed_scope_07(sim = by_hand()) {
        sim.refused(401, r#"Bearer scope="files:list""#);
        let listed = json!({ "scopes_supported": ["offline_access"] });
        discover_with(sim, &resource(&[]), &server_with(&listed));
        register(sim, "c1");
        let scope = sim.expect_visit().param("scope");
        assert_eq!(scope.as_deref(), Some("files:list offline_access"));
    }
    the_host_s_own_scopes_come_before_all_scope_06(
        sim = Sim::by_hand(|config| config.scopes(&["mine"]).default_scopes(&["fallback"]))
    ) {
        sim.refused(401, r#"Bearer scope="files:list""#);
        discover(sim);
        register(sim, "c1");
        assert_eq!(sim.expect_visit().param("scope").as_deref(), Some("mine"));
        sim.expect_note("host");
    }
    the_host_s_fallback_comes_last_scope_06(
        sim = Sim::by_hand(|config| config.default_scopes(&["fallback"]))
    ) {
        sim.refused(401, "Bearer");
        discover(sim);
        register(sim, "c1");
        assert_eq!(sim.expect_visit().param("scope").as_deref(), Some("fallback"));
    }
    the_older_revision_has_the_same_ranks_scope_14(
        sim = Sim::against(
            Settings::revision("2025-06-18"), |config| config)
    ) {
        sim.model().set(|settings| settings.prm.scopes = vec!["mcp:tools".to_owned()]);
        let waiter = sim.refused(401, "Bearer");
        sim.serve();
        let visit = sim.expect_visit();
        assert_eq!(visit.param("scope").as_deref(), Some("mcp:tools"));
        visit.approve();
        sim.serve();
        sim.expect_granted(waiter);
    }

    /// Forty of the configuration and forty of the caller are too many for one page, and none is
    /// shown: a login without the caller's would never serve it.
    too_many_scopes_open_no_page_host_256_step_16(sim = {
        let configured: Vec<String> = (0..40).map(|number| format!("a{number}")).collect();
        let configured: Vec<&str> = configured.iter().map(String::as_str).collect();
        Sim::by_hand(|config| config.scopes(&configured))
    }) {
        let wanted: Vec<String> = (0..40).map(|number| format!("b{number}")).collect();
        let caller = sim.acquire(&wanted.join(" "));
        discover(sim);
        sim.expect_failed(caller, "limit_exceeded");
        sim.expect_no_visit();
    }

    a_step_up_asks_for_no_refresh_token_that_nobody_wants_scope_10_ref_15(
        sim = Sim::by_hand(|config| config.refresh_tokens(false))
    ) {
        logged_in(sim, &access_only(1, 3600));
        let challenge = r#"Bearer error="insufficient_scope", scope="x offline_access""#;
        let caller = sim.refused(403, challenge);
        discover(sim);
        let visit = sim.expect_visit();
        assert_eq!(visit.param("scope").as_deref(), Some("files:read x"));
        visit.arrive_with_code("");
        exchange(sim).reply_json(200, &access_only(2, 3600));
        sim.expect_granted(caller);
    }
}
