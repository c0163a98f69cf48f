//! Whether a login is wanted at all: the first request of a session, before a login that somebody
//! asks for by name, and servers that have nothing of OAuth.

use core::time::Duration;

use http::Method;
use mcp_authz_core::effect::{Purpose, Why};
use mcp_authz_core::failure::{Outcome, Remedy, Setting};
use mcp_authz_core::input::WaiterId;
use mcp_authz_tests::model::{Absent, Endpoint, RefreshIssue, Settings};
use mcp_authz_tests::sim::{Asked, Sim};
use serde_json::json;

use crate::by_hand::*;

const MCP: &str = "/mcp";
const BASE_DOCUMENT: &str = "/.well-known/oauth-authorization-server";
const JSON: (&str, &str) = ("content-type", "application/json");
const HTML: (&str, &str) = ("content-type", "text/html");
/// What an MCP endpoint says to somebody whom it lets in.
const SERVED: &[u8] = br#"{"jsonrpc":"2.0","id":1,"result":{}}"#;

/// Somebody asks for a login, and the first request of a session goes out.
#[track_caller]
fn named(sim: &mut Sim) -> (WaiterId, Asked<'_>) {
    let waiter = sim.log_in_by_name("");
    (waiter, sim.expect_call(Method::POST, MCP))
}

/// The resource has definitely no metadata.
fn no_resource(sim: &mut Sim) {
    sim.expect_call(Method::GET, RESOURCE).reply(404);
    sim.expect_call(Method::GET, RESOURCE_ROOT).reply(404);
}

/// The caller is told, and nothing was registered and nobody asked.
#[track_caller]
fn ends(sim: &mut Sim, waiter: WaiterId, code: &str) {
    sim.expect_failed(waiter, code);
    sim.expect_no_call();
    sim.expect_no_visit();
    assert_eq!(sim.count("/register"), 0);
}

fn changed(change: impl FnOnce(&mut Settings)) -> Sim {
    let mut settings = Settings::revision("2025-11-25");
    change(&mut settings);
    Sim::against(settings, |config| config)
}

scripts! {
    a_server_that_wants_no_login_is_open_disc_01(sim = plain()) {
        for (status, body) in [(200, SERVED), (400, br#"{"jsonrpc":"2.0","error":{},"id":null}"#)] {
            let (waiter, call) = named(sim);
            assert!(call.header("authorization").is_empty());
            assert_eq!(call.json()["method"], "server/discover");
            call.respond(status, &[JSON], body);
            no_resource(sim);
            ends(sim, waiter, "authorization_not_required");
            let failure = sim.expect_failed(waiter, "authorization_not_required");
            assert_eq!(failure.remedy().name(), "proceed");
        }
    }

    /// The same of the model, whose other half would gladly register anybody.
    an_open_server_registers_nobody_on_a_guess_disc_01(
        sim = {
            let mut settings = Settings::revision("2025-03-26");
            settings.gate.open = true;
            Sim::against(settings, |config| config)
        }
    ) {
        let waiter = sim.log_in_by_name("");
        sim.serve();
        ends(sim, waiter, "authorization_not_required");
        let waiter = sim.acquire("");
        sim.serve();
        ends(sim, waiter, "authorization_not_required");
        assert_eq!(sim.model().count(Endpoint::Register), 0);
    }

    /// What is open now may not be at the next request: metadata of its own is enough.
    metadata_shows_that_a_login_is_wanted_prm_01_disc_03(
        sim = changed(|settings| settings.gate.exempt = vec!["server/discover".to_owned()])
    ) {
        let waiter = sim.log_in_by_name("");
        sim.log_in();
        sim.expect_granted(waiter);
        assert_eq!(sim.model().count(Endpoint::PrmPath), 1);
        assert_eq!(sim.call_tool("echo", false), Ok(()));
    }

    a_refusal_says_where_and_for_what_disc_06_scope_01(sim = plain()) {
        let (_, call) = named(sim);
        let challenge = r#"Bearer resource_metadata="https://mcp.example/prm", scope="a b""#;
        call.respond(401, &[("www-authenticate", challenge)], b"");
        let listed = with(resource(), json!({ "scopes_supported": ["c"] }));
        sim.expect_call(Method::GET, "/prm").reply_json(200, &listed);
        sim.expect_call(Method::GET, SERVER).reply_json(200, &server());
        registered(sim);
        assert_eq!(sim.expect_visit().param("scope").as_deref(), Some("a b"));
    }

    /// Where refresh tokens are not wanted, the scope that stands for them is not.
    a_refusal_asks_for_no_refresh_token_against_the_settings_scope_10(
        sim = Sim::by_hand(|config| config.refresh_tokens(false))
    ) {
        let (_, call) = named(sim);
        let challenge = r#"Bearer scope="a offline_access""#;
        call.respond(401, &[("www-authenticate", challenge)], b"");
        discovered(sim);
        registered(sim);
        assert_eq!(sim.expect_visit().param("scope").as_deref(), Some("a"));
    }

    a_pointer_that_may_not_be_followed_is_left_aside_www_14(sim = plain()) {
        let (_, call) = named(sim);
        let challenge = r#"Bearer resource_metadata="http://10.0.0.1/prm", scope="a", scope="b""#;
        call.respond(401, &[("www-authenticate", challenge)], b"");
        sim.expect_note("insecure_transport");
        sim.expect_note("not used: WWW-Authenticate");
        discovered(sim);
        registered(sim);
        assert_eq!(sim.expect_visit().param("scope"), None);
    }

    an_old_server_that_refuses_is_logged_in_at_leg_03_leg_09(
        sim = Sim::against(
            Settings::revision("2025-03-26").without_as_metadata(),
            |config| config.persistent(true),
        )
    ) {
        let waiter = sim.log_in_by_name("");
        sim.log_in();
        sim.expect_granted(waiter);
        // Who has wanted a login before is not asked whether they do.
        let asked = sim.count("https://mcp.example/mcp");
        assert!(asked > 0);
        sim.new_process(|config| config.persistent(true));
        let waiter = sim.log_in_by_name("");
        sim.expect_granted(waiter);
        assert_eq!(sim.count("https://mcp.example/mcp"), asked);
    }

    /// Nor where the grant is gone and a page is due.
    a_known_server_is_not_asked_again_disc_01(
        sim = {
            let mut settings = Settings::revision("2025-11-25");
            settings.server.tokens.refresh = RefreshIssue::Never;
            settings.server.tokens.access_life_s = 60;
            Sim::against(settings, |config| config.persistent(true))
        }
    ) {
        let waiter = sim.log_in_by_name("");
        sim.log_in();
        sim.expect_granted(waiter);
        let asked = sim.count("https://mcp.example/mcp");
        assert!(asked > 0);
        sim.new_process(|config| config.persistent(true));
        sim.at(61);
        let waiter = sim.log_in_by_name("");
        sim.log_in();
        sim.expect_granted(waiter);
        assert_eq!(sim.count("https://mcp.example/mcp"), asked);
    }

    /// Nor is one of 2025-03-26, though it has no metadata that would show what it wants.
    a_known_old_server_is_not_asked_again_leg_09_disc_01(
        sim = {
            let mut settings = Settings::revision("2025-03-26").without_as_metadata();
            settings.server.tokens.refresh = RefreshIssue::Never;
            settings.server.tokens.access_life_s = 60;
            Sim::against(settings, |config| config.persistent(true))
        }
    ) {
        let waiter = sim.log_in_by_name("");
        sim.log_in();
        sim.expect_granted(waiter);
        let asked = sim.count("https://mcp.example/mcp");
        sim.new_process(|config| config.persistent(true));
        sim.at(61);
        let waiter = sim.acquire("");
        sim.log_in();
        sim.expect_granted(waiter);
        assert_eq!(sim.count("https://mcp.example/mcp"), asked);
    }

    /// Nor is one that has shown its metadata, whatever became of the login.
    a_server_that_has_shown_metadata_is_not_asked_again_disc_01(sim = plain()) {
        let (waiter, call) = named(sim);
        call.reply(401);
        discovered(sim);
        registered(sim);
        sim.expect_visit().arrive_with("error=access_denied");
        sim.expect_failed(waiter, "authorization_denied");
        sim.log_in_by_name("");
        discovered(sim);
        sim.expect_visit();
    }

    a_server_that_takes_dpop_tokens_alone_shows_no_page_dpop_18(sim = plain()) {
        let (waiter, call) = named(sim);
        call.respond(401, &[("www-authenticate", r#"DPoP algs="ES256""#)], b"");
        ends(sim, waiter, "dpop_required");
    }

    /// A caller of the core that has sent nothing either: metadata first, then the question.
    nothing_is_registered_before_the_server_has_refused_leg_05(sim = plain()) {
        let waiter = sim.acquire("");
        no_resource(sim);
        sim.expect_call(Method::POST, MCP).respond(200, &[JSON], SERVED);
        ends(sim, waiter, "authorization_not_required");

        let waiter = sim.acquire("");
        no_resource(sim);
        sim.expect_call(Method::POST, MCP).reply(401);
        sim.expect_call(Method::GET, BASE_DOCUMENT).reply(503);
        sim.expect_failed(waiter, "transient");

        let waiter = sim.acquire("");
        no_resource(sim);
        let challenge = r#"Bearer resource_metadata="https://mcp.example/prm""#;
        let call = sim.expect_call(Method::POST, MCP);
        call.respond(401, &[("www-authenticate", challenge)], b"");
        sim.expect_call(Method::GET, "/prm").reply(503);
        sim.expect_failed(waiter, "transient");

        let waiter = sim.acquire("");
        no_resource(sim);
        sim.expect_call(Method::POST, MCP).respond(200, &[HTML], b"<html>");
        ends(sim, waiter, "discovery_failed");
    }

    a_web_page_is_no_mcp_endpoint_disc_01_host_059(
        sim = changed(|settings| {
            settings.absent = Absent::Everything;
            settings.prm.places.clear();
        })
    ) {
        let waiter = sim.log_in_by_name("");
        sim.expect_call(Method::POST, MCP).respond(200, &[HTML], b"<html>");
        sim.serve();
        ends(sim, waiter, "discovery_failed");
        let failure = sim.expect_failed(waiter, "discovery_failed");
        assert_eq!(failure.hint(), Some("a web page, not an MCP endpoint: is the path right?"));
        assert_eq!(failure.subject(), Some("https://mcp.example/mcp"));
        assert_eq!(failure.remedy().name(), "configure");
        if !sim.restarting() {
            let seen: Vec<_> =
                failure.evidence().iter().map(|seen| (seen.purpose, seen.outcome)).collect();
            let page = |purpose| (purpose, Outcome::Status(200));
            let guess = page(Purpose::ResourceMetadata);
            assert_eq!(seen, [page(Purpose::FirstRequest), guess, guess]);
        }
    }

    what_says_nothing_of_itself_is_no_open_server_disc_01(sim = plain()) {
        for (status, code) in [
            (404, "discovery_failed"),
            (403, "discovery_failed"),
            (405, "discovery_failed"),
            (202, "discovery_failed"),
            (302, "discovery_failed"),
            (503, "transient"),
            (429, "transient"),
        ] {
            let (waiter, call) = named(sim);
            call.reply(status);
            no_resource(sim);
            ends(sim, waiter, code);
            if code == "discovery_failed" {
                let hint = Some("no MCP endpoint answers there: is the URL right?");
                assert_eq!(sim.expect_failed(waiter, code).hint(), hint, "{status}");
            }
        }
        let (waiter, call) = named(sim);
        call.respond(503, &[("retry-after", "7")], b"");
        no_resource(sim);
        let after = Some(Duration::from_secs(7));
        assert_eq!(sim.expect_failed(waiter, "transient").remedy(), Remedy::Retry { after });
    }

    an_mcp_url_that_does_not_answer_ends_it_disc_09(sim = plain()) {
        for why in [Why::Connect, Why::Resolve, Why::Tls] {
            let (waiter, call) = named(sim);
            call.not_sent(why);
            ends(sim, waiter, why.kind().code());
        }
        // An answer that goes on for ever is one, if nobody can say which.
        for why in [Why::Timeout, Why::BodyTooLarge] {
            let (waiter, call) = named(sim);
            call.maybe_sent(why);
            no_resource(sim);
            let code = if why == Why::Timeout { "transient" } else { "body_too_large" };
            ends(sim, waiter, code);
        }
        let (_, call) = named(sim);
        call.maybe_sent(Why::Timeout);
        discovered(sim);
        registered(sim);
        sim.expect_visit();
    }

    a_first_request_has_its_time_http_01(sim = plain()) {
        if !sim.restarting() {
            let (waiter, call) = named(sim);
            let _held = call.hold();
            sim.at(30);
            no_resource(sim);
            ends(sim, waiter, "transient");
            let waiter = sim.acquire("");
            no_resource(sim);
            let _held = sim.expect_call(Method::POST, MCP).hold();
            sim.at(60);
            ends(sim, waiter, "transient");
        }
    }

    /// Basic authentication, or a gateway that lets nobody in: no client of it could be named.
    a_server_without_oauth_is_said_to_be_one_leg_09_disc_11(sim = plain()) {
        let page: (&[(&str, &str)], &[u8]) = (&[HTML], b"<html>");
        for challenge in ["", r#"Basic realm="files""#, "Negotiate"] {
            for status in [404, 405, 401, 403, 400, 200, 201, 302] {
                let waiter = sim.refused(401, challenge);
                no_resource(sim);
                sim.expect_call(Method::GET, BASE_DOCUMENT).reply(404);
                sim.expect_call(Method::POST, "/register").respond(status, page.0, page.1);
                let failure = sim.expect_failed(waiter, "discovery_failed");
                assert_eq!(failure.remedy().name(), "configure", "{status}");
                assert_eq!(failure.mends()[0].setting, Setting::Endpoints);
                if !sim.restarting() {
                    let seen: Vec<_> = failure.evidence().iter().map(|seen| seen.outcome).collect();
                    let gone = Outcome::Status(404);
                    assert_eq!(seen, [gone, gone, gone, Outcome::Status(status)]);
                }
                sim.expect_no_visit();
            }
        }
    }

    /// A guess that cannot answer now, or whose answer nobody has read, is not known to be wrong; and
    /// one at which somebody has registered was right, whatever is answered later.
    a_guess_is_wrong_only_if_it_has_answered_so_leg_09_disc_09(sim = plain()) {
        for code in ["transient", "tls", "server_error"] {
            let waiter = sim.refused(401, "");
            no_resource(sim);
            sim.expect_call(Method::GET, BASE_DOCUMENT).reply(404);
            let call = sim.expect_call(Method::POST, "/register");
            match code {
                "transient" => call.respond(503, &[HTML], b"<html>"),
                "tls" => call.not_sent(Why::Tls),
                _ => {
                    call.reply_json(201, &json!({ "client_id": "c1" }));
                    sim.expect_visit().arrive_with_code("");
                    let call = sim.expect_call(Method::POST, "/token");
                    call.respond(404, &[HTML], b"<html>");
                }
            }
            sim.expect_failed(waiter, code);
        }
    }

    /// A registration endpoint that speaks as one has the word.
    a_guess_that_was_right_is_told_what_it_says_leg_09_reg_17(sim = plain()) {
        let waiter = sim.refused(401, "");
        no_resource(sim);
        sim.expect_call(Method::GET, BASE_DOCUMENT).reply(404);
        let refusal = json!({ "error": "invalid_redirect_uri", "error_description": "no" });
        sim.expect_call(Method::POST, "/register").reply_json(400, &refusal);
        let failure = sim.expect_failed(waiter, "registration_failed");
        assert_eq!(failure.remedy().name(), "register");
        assert!(failure.said().is_some_and(|said| said.error == "invalid_redirect_uri"));
    }
}
