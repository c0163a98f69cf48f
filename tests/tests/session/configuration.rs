//! What a configuration may not hold: refused when it is made, before any network.

use std::sync::Arc;

use http::Method;
use mcp_authz_core::Config;
use mcp_authz_core::config::{ConfigBuilder, Profile, UrlPolicy};
use mcp_authz_core::effect::LoopbackHost;
use mcp_authz_core::failure::Failure;
use mcp_authz_tests::sim::Sim;
use serde_json::json;

fn refused(configure: impl FnOnce(ConfigBuilder) -> ConfigBuilder) -> Failure {
    let builder = configure(Config::builder("https://mcp.example/mcp"));
    builder.build().expect_err("this configuration is a bad one")
}

#[test]
fn ours_alone_are_the_parameters_of_the_protocol_authz_09_host_166() {
    for name in ["client_id", "state", "code_challenge", "resource", "redirect_uri", "scope"] {
        let failure =
            refused(|config| config.authorization_parameter("https://as.example", name, "x"));
        assert_eq!((failure.kind().code(), failure.rule()), ("config_invalid", "AUTHZ-09"));
    }
}

#[test]
fn client_document_urls_cimd_03_host_160() {
    for url in [
        "http://app.example/c.json",
        "https://app.example/",
        "https://app.example",
        "https://app.example/c.json#x",
        "https://me:pw@app.example/c.json",
        "https://app.example/a/../c.json",
        "https://10.0.0.1/c.json",
        "https://localhost/c.json",
    ] {
        let failure = refused(|config| config.client_document(url, &[]));
        assert_eq!((failure.kind().code(), failure.rule()), ("config_invalid", "CIMD-03"), "{url}");
    }
}

#[test]
fn redirect_uris_nat_01_nat_02_nat_04_nat_05() {
    for uri in [
        "http://app.example/cb",
        "http://10.0.0.1/cb",
        "https://app.example/cb#x",
        "com.example.app:/cb",
        "/cb",
    ] {
        assert_eq!(refused(|config| config.redirect_uri(uri)).kind().code(), "config_invalid");
    }
    let undotted =
        refused(|config| config.danger().allow_private_scheme().done().redirect_uri("myapp://cb"));
    assert_eq!(undotted.rule(), "NAT-04");
    let odd = refused(|config| config.redirect_loopback(LoopbackHost::V4, None, "callback"));
    assert_eq!(odd.kind().code(), "config_invalid");
    let dotted = Config::builder("https://mcp.example/mcp")
        .danger()
        .allow_private_scheme()
        .done()
        .redirect_uri("com.example.app:/cb");
    assert!(dotted.build().is_ok());
}

#[test]
fn strict_and_a_leniency_contradict_each_other_bind_12_d13() {
    type Opening = fn(ConfigBuilder) -> ConfigBuilder;
    let openings: [Opening; 7] = [
        |config| config.danger().pin_issuer("https://a.example", "https://b.example").done(),
        |config| config.danger().allow_unlisted_pkce("https://a.example").done(),
        |config| config.danger().allow_split_endpoints("https://a.example").done(),
        |config| config.danger().omit_resource("https://a.example").done(),
        |config| config.danger().allow_private_address("10.0.0.1").done(),
        |config| config.danger().allow_plain_http("as.example").done(),
        |config| config.legacy_servers(true),
    ];
    for opening in openings {
        let failure = refused(|config| opening(config.profile(Profile::Strict)));
        assert_eq!(failure.kind().code(), "config_invalid");
        assert!(opening(Config::builder("https://mcp.example/mcp")).build().is_ok());
    }
}

#[test]
fn the_mcp_url_must_be_one_sec_01_res_06() {
    for (url, code) in [
        ("mcp.example", "config_invalid"),
        ("ftp://mcp.example/", "config_invalid"),
        ("http://mcp.example/mcp", "insecure_transport"),
        ("", "config_invalid"),
    ] {
        let failure = Config::builder(url).build().expect_err("no MCP URL");
        assert_eq!(failure.kind().code(), code, "{url}");
    }
    assert!(Config::builder("http://127.0.0.1:8080/mcp").build().is_ok());
}

#[test]
fn an_account_is_called_something_or_nothing_host_299() {
    for name in ["", "default"] {
        let failure = refused(|config| config.account(name));
        assert_eq!((failure.kind().code(), failure.rule()), ("config_invalid", "HOST-299"));
    }
    let named = |account: &str| {
        let config = Config::builder("https://mcp.example/mcp").account(account);
        config.build().unwrap().account().to_owned()
    };
    for name in ["Default", "default ", "work", "\0"] {
        assert_eq!(named(name), name);
    }
    let unnamed = Config::builder("https://mcp.example/mcp").build().unwrap();
    assert_eq!(unnamed.account(), "default");
}

/// Knows its own company's hosts and nobody else's.
#[derive(Debug)]
struct OwnHosts;

impl UrlPolicy for OwnHosts {
    fn allows(&self, https: bool, host: &str, port: u16) -> bool {
        https && port == 443 && (host == "mcp.example" || host.ends_with(".corp.example"))
    }
}

#[test]
fn a_policy_of_the_deployment_sees_every_url_sec_06() {
    for (issuer, allowed) in [("https://as.corp.example", true), ("https://as.example", false)] {
        let mut sim = Sim::by_hand(|config| config.url_policy(Arc::new(OwnHosts)));
        let waiter = sim.acquire("");
        sim.expect_call(Method::GET, "/.well-known/oauth-protected-resource/mcp").reply_json(
            200,
            &json!({ "resource": "https://mcp.example/mcp", "authorization_servers": [issuer] }),
        );
        if allowed {
            let metadata = format!("{issuer}/.well-known/oauth-authorization-server");
            sim.expect_call(Method::GET, &metadata).respond(
                302,
                &[("location", "https://elsewhere.example/")],
                b"",
            );
            sim.expect_failed(waiter, "cross_origin_redirect");
        } else {
            let failure = sim.expect_failed(waiter, "address_blocked");
            assert_eq!(failure.rule(), "SEC-06");
            sim.expect_no_call();
        }
    }
}

#[test]
fn strict_knows_no_opening_use_07_nat_04() {
    let failure = refused(|config| config.profile(Profile::Strict).token_prefix("/"));
    assert_eq!(failure.kind().code(), "config_invalid");
    let failure = refused(|config| {
        let config = config.profile(Profile::Strict).redirect_uri("com.example.app:/cb");
        config.danger().allow_private_scheme().done()
    });
    assert_eq!(failure.kind().code(), "config_invalid");
}
