use serde_json::{Value, json};

use super::*;
use crate::effect::Bytes;
use crate::record::{binding_key, grant_key};

const URL: &str = "https://mcp.example/mcp";
const AS: &str = "https://as.example";

fn binding(url: &str, account: &str) -> Value {
    json!({
        "format": 1, "mcp_url": url, "account": account, "class": "resource", "listed": AS,
        "issuer": AS, "resource": url, "client_id": "c1", "way": "dynamic", "method": "none",
        "redirect_set": "loopback",
    })
}

fn grant(url: &str, account: &str) -> Value {
    json!({
        "format": 1, "issuer": AS, "resource": url, "client_id": "c1", "account": account,
        "access_token": "AT-CANARY", "refresh_token": "RT-CANARY", "expires": 1_000,
        "lifetime": 60, "requested": "files:read", "granted": null, "resource_parameter": url,
        "token_endpoint": "https://as.example/token", "revocation_endpoint": null,
        "rejected": false, "untyped": false,
    })
}

fn record(key: Key, document: &Value) -> (Key, Record) {
    let bytes = Bytes(document.to_string().into_bytes());
    (key, Record { generation: 1, bytes })
}

/// The records of one account at one server.
fn pair(url: &str, account: &str, change: impl FnOnce(&mut Value)) -> [(Key, Record); 2] {
    let mut held = grant(url, account);
    change(&mut held);
    [
        record(binding_key(url, account), &binding(url, account)),
        record(grant_key(AS, url, "c1", account), &held),
    ]
}

fn listed(records: impl IntoIterator<Item = (Key, Record)>) -> Vec<Entry> {
    read(records, Timestamp::from_unix(500))
}

fn state(change: impl FnOnce(&mut Value)) -> State {
    let entries = listed(pair(URL, "work", change));
    assert_eq!(entries.len(), 1);
    entries[0].state
}

#[test]
fn the_sample_is_a_record() {
    let [binding, grant] = pair(URL, "work", |_| {});
    assert!(record::read::<Binding>(&binding.1.bytes, &binding.0).is_ok());
    assert!(record::read::<Grant>(&grant.1.bytes, &grant.0).is_ok());
}

#[test]
fn how_it_stands() {
    let until = Some(Timestamp::from_unix(1_000));
    assert_eq!(state(|_| {}), State::Authorized { until });
    assert_eq!(
        state(|grant| grant["expires"] = json!(501)),
        State::Authorized { until: Some(Timestamp::from_unix(501)) }
    );
    assert_eq!(state(|grant| grant["expires"] = json!(500)), State::Renewable);
    assert_eq!(state(|grant| grant["expires"] = json!(null)), State::Authorized { until: None });
    assert_eq!(state(|grant| grant["access_token"] = json!(null)), State::Renewable);
    assert_eq!(state(|grant| grant["rejected"] = json!(true)), State::Rejected);
    let expired = |grant: &mut Value| {
        grant["expires"] = json!(1);
        grant["refresh_token"] = json!(null);
    };
    assert_eq!(state(expired), State::Expired);
    let emptied = |grant: &mut Value| {
        grant["access_token"] = json!(null);
        grant["refresh_token"] = json!(null);
        grant["rejected"] = json!(true);
    };
    assert_eq!(state(emptied), State::LoggedOut);
    let [binding, _] = pair(URL, "work", |_| {});
    assert_eq!(listed([binding])[0].state, State::LoggedOut);
}

#[test]
fn what_cannot_be_read_is_listed_as_such_host_269_host_272_host_287() {
    assert_eq!(state(|grant| grant["format"] = json!(999)), State::Newer);
    assert_eq!(state(|grant| *grant = json!({})), State::Unreadable);
    assert_eq!(state(|grant| *grant = json!("?")), State::Unreadable);
    // Another account's tokens, put under this one's key.
    assert_eq!(state(|grant| grant["account"] = json!("other")), State::Unreadable);
    assert_eq!(state(|grant| grant["issuer"] = json!("https://evil.example")), State::Unreadable);

    let key = binding_key(URL, "work");
    for (document, expected) in [
        (json!(null), State::Unreadable),
        (json!({ "format": 999, "anything": true }), State::Newer),
        (binding(URL, "other"), State::Unreadable),
        (binding("https://evil.example/mcp", "work"), State::Unreadable),
    ] {
        let entries = listed([record(key.clone(), &document)]);
        assert_eq!(entries.len(), 1);
        assert_eq!((entries[0].state, &entries[0].issuer), (expected, &None));
        assert!(entries[0].is_of(URL, Some("work")));
    }
}

#[test]
fn records_that_are_of_no_account_are_not_listed() {
    let strangers = ["", "{}", "[]", "[\"https://mcp.example/mcp\"]", "[1, 2]", "nothing"];
    let records = strangers.map(|name| {
        let key = Key { kind: RecordKind::Binding, name: name.to_owned() };
        record(key, &binding(URL, "work"))
    });
    assert_eq!(listed(records), Vec::new());
    let [_, grant] = pair(URL, "work", |_| {});
    let client = Key { kind: RecordKind::Client, name: binding_key(URL, "work").name };
    assert_eq!(listed([grant, record(client, &json!({}))]), Vec::new());
}

#[test]
fn servers_and_accounts_are_told_apart_host_296() {
    let other = "https://other.example/mcp";
    let records = [(other, "work"), (URL, "work"), (other, "default"), (URL, "home")]
        .into_iter()
        .flat_map(|(url, account)| {
            pair(url, account, |grant| {
                if account == "home" {
                    grant["rejected"] = json!(true);
                }
            })
        });
    let entries = listed(records);
    let seen: Vec<_> = entries
        .iter()
        .map(|entry| (entry.mcp_url.as_str(), entry.account.as_deref(), entry.state))
        .collect();
    let authorized = State::Authorized { until: Some(Timestamp::from_unix(1_000)) };
    assert_eq!(
        seen,
        [
            (URL, Some("home"), State::Rejected),
            (URL, Some("work"), authorized),
            (other, None, authorized),
            (other, Some("work"), authorized),
        ]
    );
}

#[test]
fn an_entry_leads_to_its_session_and_to_no_other_host_299() {
    for (name, account) in [("default", None), ("work", Some("work"))] {
        let entry = listed(pair(URL, name, |_| {})).remove(0);
        assert_eq!(entry.account.as_deref(), account);
        let config = entry.builder().build().unwrap();
        assert_eq!((config.mcp_url(), config.account()), (URL, name));
    }
    // A record that only an edited store can have.
    let entry = listed(pair(URL, "", |_| {})).remove(0);
    assert_eq!(entry.builder().build().unwrap_err().kind(), Kind::ConfigInvalid);
}

#[test]
fn an_entry_is_found_by_any_spelling_of_its_url() {
    let entry = listed(pair(URL, "work", |_| {})).remove(0);
    for spelling in [URL, "HTTPS://MCP.example:443/mcp", "https://mcp.example/mcp#x"] {
        assert!(entry.is_of(spelling, Some("work")), "{spelling}");
        assert!(!entry.is_of(spelling, None), "{spelling}");
        assert!(!entry.is_of(spelling, Some("Work")), "{spelling}");
    }
    for other in ["", "mcp", "https://mcp.example/MCP", "http://mcp.example/mcp"] {
        assert!(!entry.is_of(other, Some("work")), "{other}");
    }
    let plain = listed(pair("http://lan.example/mcp", "work", |_| {})).remove(0);
    assert!(plain.is_of("http://LAN.example:80/mcp", Some("work")));
}

#[test]
fn what_is_shown_is_one_line_without_queries_and_secrets_host_300_host_304_host_309() {
    let url = "https://mcp.example/mcp?key=KEY-CANARY";
    let account = "work\n\u{1b}[31m\u{202e}";
    let entry = listed(pair(url, account, |_| {})).remove(0);
    assert_eq!(entry.mcp_url, url);
    let shown = format!("{entry}");
    assert!(shown.starts_with("https://mcp.example/mcp as work\\n"), "{shown}");
    assert!(shown.ends_with(": authorized, by https://as.example"), "{shown}");
    assert!(shown.chars().all(|character| matches!(character, ' '..='~')), "{shown}");
    for text in [shown, format!("{entry:?}"), format!("{entry:#?}")] {
        assert!(!text.contains("CANARY"), "{text}");
    }
}

#[test]
fn no_broken_clock_says_that_a_token_is_over_host_312() {
    for (now, expected) in [
        (999, State::Authorized { until: Some(Timestamp::from_unix(1_000)) }),
        (1_000, State::Renewable),
        (i64::MAX, State::Authorized { until: Some(Timestamp::from_unix(1_000)) }),
    ] {
        let entries = read(pair(URL, "work", |_| {}), Timestamp::from_unix(now));
        assert_eq!(entries[0].state, expected, "{now}");
    }
}
