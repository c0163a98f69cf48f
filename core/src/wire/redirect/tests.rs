use super::*;

#[test]
fn only_loopback_and_https_nat_01_to_nat_05() {
    for (text, private, fine) in [
        ("http://127.0.0.1:5000/callback", false, true),
        ("http://127.8.8.8/cb", false, true),
        ("http://[::1]:5000/callback", false, true),
        ("http://localhost:5000/callback", false, true),
        ("https://app.example/cb", false, true),
        ("https://app.example/cb?x=1", false, true),
        ("http://app.example/cb", false, false),
        ("http://10.0.0.1/cb", false, false),
        ("http://0.0.0.0:5000/cb", false, false),
        ("http://localhost.evil.example/cb", false, false),
        ("http://127.1/cb", false, false),
        ("/callback", false, false),
        ("https://app.example/cb#x", false, false),
        ("https://u@app.example/cb", false, false),
        ("com.example.app:/cb", false, false),
        ("com.example.app:/cb", true, true),
        ("com.example.app://cb", true, true),
        ("com.example.app:/cb#x", true, false),
        ("myapp://cb", true, false),
        ("javascript:alert(1)", true, false),
        ("urn:ietf:wg:oauth:2.0:oob", true, false),
    ] {
        let read = RedirectUri::read(text, private);
        assert_eq!(read.is_ok(), fine, "{text}");
        match read {
            Ok(uri) => assert_eq!(uri.as_str(), text),
            Err(failure) => assert_eq!(failure.kind(), Kind::ConfigInvalid),
        }
    }
}

#[test]
fn the_literal_is_the_default_nat_03_host_196() {
    let uri = RedirectUri::loopback(LoopbackHost::default(), 5000, "/callback").unwrap();
    assert_eq!(uri.as_str(), "http://127.0.0.1:5000/callback");
    assert!(uri.is_loopback());
    assert!(RedirectUri::loopback(LoopbackHost::V4, 5000, "#x").is_err());
}

#[test]
fn only_the_port_of_a_loopback_literal_may_vary_reg_22_cimd_10() {
    let uri = RedirectUri::read("http://127.0.0.1:5000/callback?a=1", false).unwrap();
    assert_eq!(uri.set_key(), "http://127.0.0.1/callback?a=1");
    for (registered, fits) in [
        ("http://127.0.0.1:5000/callback?a=1", true),
        ("http://127.0.0.1:6000/callback?a=1", true),
        ("http://127.0.0.1/callback?a=1", true),
        ("http://127.0.0.1:6000/callback", false),
        ("http://127.0.0.1:6000/other?a=1", false),
        ("http://[::1]:5000/callback?a=1", false),
        ("http://localhost:5000/callback?a=1", false),
        ("https://127.0.0.1:5000/callback?a=1", false),
    ] {
        assert_eq!(uri.matches_registered(registered), fits, "{registered}");
    }
    let named = RedirectUri::read("http://localhost:5000/cb", false).unwrap();
    assert_eq!(named.set_key(), "http://localhost:5000/cb");
    assert!(!named.matches_registered("http://localhost:6000/cb"));
    let six = RedirectUri::read("http://[::1]:5000/cb", false).unwrap();
    assert_eq!(six.set_key(), "http://[::1]/cb");
}
