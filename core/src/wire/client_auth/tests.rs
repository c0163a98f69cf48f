use super::*;

const NONE: Method = Method::None;
const BASIC: Method = Method::SecretBasic;
const POST: Method = Method::SecretPost;
const KEY: Method = Method::PrivateKeyJwt;
const UNKNOWN: Methods = Methods(Methods::UNKNOWN);

#[test]
fn one_method_suits_both_sides_cauth_02_host_138() {
    let list = |methods: &[Method]| Some(Methods::of(methods));
    let means =
        |bound, secret, key, settled| Means { bound, secret, key, settled, ..Means::default() };
    for (means, listed, expected) in [
        // Pre-registered or document clients without secret or key: D15.
        (means(None, false, false, true), list(&[NONE]), Some(NONE)),
        (means(None, false, false, true), list(&[BASIC]), Some(NONE)),
        (means(Some(BASIC), false, false, true), Some(UNKNOWN), Some(NONE)),
        (means(None, false, false, true), None, Some(NONE)),
        // (a) bound and listed, or nothing listed.
        (means(Some(POST), true, false, true), list(&[BASIC, POST]), Some(POST)),
        (means(Some(POST), true, false, true), None, Some(POST)),
        (means(Some(POST), true, false, true), list(&[]), Some(POST)),
        (means(Some(NONE), false, false, false), list(&[NONE, BASIC]), Some(NONE)),
        (means(Some(KEY), false, true, true), None, Some(KEY)),
        // (b) the first that is listed.
        (means(Some(POST), true, false, true), list(&[BASIC]), Some(BASIC)),
        (means(None, true, false, true), list(&[POST]), Some(POST)),
        (means(None, true, false, true), list(&[BASIC]), Some(BASIC)),
        (means(None, true, false, true), list(&[BASIC, POST]), Some(POST)),
        (means(None, true, false, true), list(&[NONE, BASIC]), Some(BASIC)),
        (means(Some(NONE), true, false, false), list(&[BASIC, POST]), Some(POST)),
        (means(None, true, true, true), list(&[POST, KEY]), Some(KEY)),
        (means(None, true, false, true), list(&[NONE]), Some(NONE)),
        // (c) nothing listed and nothing bound.
        (means(None, true, false, true), None, Some(BASIC)),
        (means(None, false, false, false), None, Some(NONE)),
        // (d) nothing fits.
        (means(None, false, false, false), Some(UNKNOWN), None),
        (means(Some(NONE), false, false, false), list(&[BASIC]), None),
        (means(None, true, false, true), list(&[KEY]), None),
    ] {
        let chosen = choose_method(means, listed);
        assert_eq!(
            chosen.as_ref().ok().map(|chosen| chosen.method),
            expected,
            "{means:?} {listed:?}"
        );
        if let Err(failure) = chosen {
            assert_eq!(failure.kind(), Kind::ClientAuthUnsupported);
        }
    }
}

#[test]
fn the_host_chooses_whatever_is_listed_cauth_02() {
    let means = |chosen, secret, settled| Means {
        chosen: Some(chosen),
        secret,
        settled,
        ..Means::default()
    };
    let unlisted = Some(Switch::UnlistedMethod);
    for (means, listed, expected) in [
        (means(POST, true, true), Some(Methods::of(&[BASIC])), Ok((POST, unlisted))),
        (means(BASIC, true, true), Some(Methods::of(&[POST, BASIC])), Ok((BASIC, None))),
        (means(BASIC, true, false), Some(UNKNOWN), Ok((BASIC, unlisted))),
        (means(POST, true, true), None, Ok((POST, None))),
        (means(NONE, true, true), Some(Methods::of(&[POST])), Ok((NONE, unlisted))),
        // A public client is one, whatever is chosen.
        (means(POST, false, true), None, Ok((NONE, None))),
        (means(POST, false, false), None, Err(Kind::ClientAuthUnsupported)),
        (means(KEY, true, true), None, Err(Kind::ClientAuthUnsupported)),
    ] {
        let chosen = choose_method(means, listed).map(|it| (it.method, it.switch));
        assert_eq!(chosen.map_err(|failure| failure.kind()), expected, "{means:?}");
    }
    for (listed, chosen, expected) in [
        (Some(Methods::of(&[NONE])), POST, Ok((POST, unlisted))),
        (Some(Methods::of(&[NONE, POST, BASIC])), BASIC, Ok((BASIC, None))),
        (None, NONE, Ok((NONE, None))),
        (None, KEY, Err(Kind::ClientAuthUnsupported)),
    ] {
        let found = registration_method(listed, false, Some(chosen));
        let found = found.map(|it| (it.method, it.switch));
        assert_eq!(found.map_err(|failure| failure.kind()), expected, "{chosen:?}");
    }
}

#[test]
fn an_answer_binds_what_both_sides_can_cauth_02_reg_16() {
    let list = |methods: &[Method]| Some(Methods::of(methods));
    for (named, asked, secret, listed, expected) in [
        (None, NONE, false, None, NONE),
        (None, NONE, true, None, NONE),
        (None, NONE, true, list(&[NONE]), NONE),
        (None, NONE, true, list(&[NONE, BASIC, POST]), POST),
        (None, NONE, true, list(&[NONE, BASIC]), BASIC),
        (None, BASIC, true, list(&[BASIC, POST]), BASIC),
        (None, BASIC, true, None, BASIC),
        (None, POST, false, list(&[POST]), NONE),
        (None, KEY, false, list(&[KEY]), KEY),
        (Some(NONE), POST, true, list(&[POST]), NONE),
        (Some(BASIC), POST, true, list(&[BASIC, POST]), BASIC),
        (Some(BASIC), POST, true, list(&[POST]), POST),
        (Some(POST), NONE, true, list(&[NONE]), POST),
        (Some(BASIC), POST, true, None, BASIC),
    ] {
        let found = bound_method(named, asked, secret, listed);
        assert_eq!(found, expected, "{named:?} {asked:?} {secret} {listed:?}");
    }
}

#[test]
fn an_unlisted_none_is_named_d15() {
    let means = Means { settled: true, ..Means::default() };
    let unlisted = choose_method(means, Some(Methods::of(&[BASIC]))).unwrap();
    assert_eq!(unlisted.switch, Some(Switch::UnlistedNone));
    for listed in [None, Some(Methods::of(&[NONE]))] {
        assert_eq!(choose_method(means, listed).unwrap().switch, None);
    }
}

#[test]
fn public_clients_register_as_such_reg_18_nat_11_host_138() {
    for (listed, key, expected) in [
        (None, false, Some(NONE)),
        (Some(Methods::of(&[BASIC, NONE])), false, Some(NONE)),
        (Some(Methods::of(&[BASIC, POST])), false, Some(POST)),
        (Some(Methods::of(&[BASIC])), false, Some(BASIC)),
        (Some(Methods::of(&[KEY, NONE])), true, Some(KEY)),
        (Some(Methods::of(&[NONE])), true, Some(NONE)),
        (Some(UNKNOWN), false, None),
        (Some(Methods::of(&[KEY])), false, None),
    ] {
        let found = registration_method(listed, key, None).map(|chosen| chosen.method);
        assert_eq!(found.ok(), expected);
    }
}

fn sent(credentials: &Credentials) -> Result<(String, Option<String>), Failure> {
    let mut form = String::from("grant_type=x");
    let mut headers = HeaderMap::new();
    authenticate(credentials, &mut form, &mut headers)?;
    assert!(headers.len() <= 1);
    let header = headers.get(AUTHORIZATION).map(|value| {
        assert!(value.is_sensitive());
        value.to_str().unwrap().to_owned()
    });
    Ok((form, header))
}

#[test]
fn each_method_has_one_place_cauth_01_cauth_03_to_cauth_06() {
    let credentials = |method, secret: Option<&str>| Credentials {
        client_id: "id:1".into(),
        secret: secret.map(Secret::new),
        method,
    };
    assert_eq!(
        sent(&credentials(NONE, Some("s"))).unwrap(),
        ("grant_type=x&client_id=id%3A1".to_owned(), None)
    );
    assert_eq!(
        sent(&credentials(POST, Some("a b"))).unwrap(),
        ("grant_type=x&client_id=id%3A1&client_secret=a%20b".to_owned(), None)
    );
    let (form, header) = sent(&credentials(BASIC, Some("a b:ü%"))).unwrap();
    assert_eq!(form, "grant_type=x");
    let pair = STANDARD.decode(header.unwrap().strip_prefix("Basic ").unwrap()).unwrap();
    assert_eq!(String::from_utf8(pair).unwrap(), "id%3A1:a%20b%3A%C3%BC%25");
    for unusable in [credentials(BASIC, None), credentials(POST, None), credentials(KEY, None)] {
        assert_eq!(sent(&unusable).unwrap_err().kind(), Kind::ClientAuthUnsupported);
    }
}

#[test]
fn names_are_those_of_the_wire_and_secrets_stay_hidden_tok_18() {
    for method in Method::ALL {
        assert_eq!(serde_json::to_string(&method).unwrap(), format!("\"{}\"", method.name()));
        assert_eq!(Method::from_name(method.name()), Some(method));
    }
    let credentials = Credentials {
        client_id: "id".into(),
        secret: Some(Secret::new("SECRET-CANARY")),
        method: BASIC,
    };
    assert!(!format!("{credentials:?}").contains("CANARY"));
    let kept = serde_json::to_string(&credentials).unwrap();
    assert_eq!(serde_json::from_str::<Credentials>(&kept).unwrap(), credentials);
}
