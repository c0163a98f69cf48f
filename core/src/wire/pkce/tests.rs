use super::*;

#[test]
fn verifier_is_43_unreserved_characters_pkce_02_host_165() {
    for seed in 0..=255 {
        let verifier = verifier([seed; 32]);
        assert_eq!(verifier.expose().len(), 43);
        assert!(
            verifier.expose().bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~".contains(&b))
        );
    }
}

#[test]
fn challenge_matches_the_vector_of_the_rfc_pkce_03() {
    assert_eq!(
        challenge(&Secret::new("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk")),
        "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
    );
}
