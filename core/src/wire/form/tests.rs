use super::*;

#[test]
fn space_is_percent_20_and_the_rest_is_utf_8_cauth_05_authz_02() {
    let mut form = String::new();
    append(&mut form, "a", "b c");
    append(&mut form, "d", "ü:%/+&=~");
    assert_eq!(form, "a=b%20c&d=%C3%BC%3A%25%2F%2B%26%3D~");
    for (_, value) in pairs(&form) {
        assert!(decoded(value).is_ok());
    }
}

#[test]
fn decoding_happens_once_iss_01() {
    for (coded, plain) in [
        ("a+b", Ok("a b")),
        ("a%2Bb", Ok("a+b")),
        ("%252F", Ok("%2F")),
        ("%C3%BC", Ok("ü")),
        ("%ff", Err(Undecodable)),
        ("%2", Err(Undecodable)),
        ("%zz", Err(Undecodable)),
    ] {
        assert_eq!(decoded(coded).as_deref().map_err(|fault| *fault), plain, "{coded}");
    }
}

#[test]
fn every_character_is_written_as_one_by_one_authz_02() {
    let one_by_one = |text: &str| {
        text.bytes().fold(String::new(), |mut form, byte| {
            if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
                form.push(char::from(byte));
            } else {
                form.push_str(&format!("%{byte:02X}"));
            }
            form
        })
    };
    for character in (0..0x300).filter_map(char::from_u32).chain(['€', '\u{10FFFF}']) {
        for text in [format!("{character}"), format!("a{character}{character}b-")] {
            let mut form = String::new();
            encode(&mut form, &text);
            assert_eq!(form, one_by_one(&text), "{text:?}");
        }
    }
}
