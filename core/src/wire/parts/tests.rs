use super::*;

/// The rule as it is written, one search after the other.
fn slow_read<'a>(raw: &'a str, own_host: &str) -> Result<Parts<'a>, Kind> {
    if !is_slow_url_text(raw.as_bytes()) {
        return Err(Kind::UrlMalformed);
    }
    let (https, rest) = split_scheme(raw)?;
    let (authority, rest) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    if authority.contains('@') {
        return Err(Kind::UrlUserinfo);
    }
    let (host, port) = split_port(authority)?;
    if !host.starts_with('[')
        && !host.eq_ignore_ascii_case(own_host)
        && !host.split('.').all(is_label)
    {
        return Err(Kind::UrlHost);
    }
    let address = read_host(raw, host, own_host)?;
    let port = port.map_or(Ok(default_port(https)), read_port)?;
    if rest.contains('#') {
        return Err(Kind::UrlFragment);
    }
    let (path, query) =
        rest.split_once('?').map_or((rest, None), |(path, query)| (path, Some(query)));
    let dots = |segment: &str| {
        let segment = segment.replace("%2e", ".").replace("%2E", ".");
        segment == "." || segment == ".."
    };
    if path.split('/').any(dots) || query.is_some_and(|query| query.contains('\'')) {
        return Err(Kind::UrlNotCanonical);
    }
    Ok(Parts { https, host, address, port, path, query })
}

fn is_slow_url_text(text: &[u8]) -> bool {
    let hex = |digit: Option<&u8>| digit.is_some_and(u8::is_ascii_hexdigit);
    text.iter().enumerate().all(|(at, byte)| match byte {
        b'%' => hex(text.get(at + 1)) && hex(text.get(at + 2)),
        _ => matches!(byte, 0x21..=0x7E) && !b"\"<>\\^`{|}".contains(byte),
    })
}

fn is_label(label: &str) -> bool {
    let letters = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    !label.is_empty()
        && !label.starts_with('-')
        && !label.ends_with('-')
        && label.bytes().all(letters)
}

/// Every URL is tried that has up to three of these pieces behind one of these beginnings.
#[test]
fn reads_as_one_search_after_the_other_does_sec_03_sec_04() {
    const BEGINNINGS: [&str; 4] = ["https://", "HTTP://a", "https://b.c/", "https://a/?"];
    const PIECES: [&str; 24] = [
        "a",
        "b.c",
        "_",
        "-",
        ".",
        "..",
        "xn--a",
        "@",
        ":",
        ":80",
        "0",
        "127.0.0.1",
        "0x1",
        "/",
        "?",
        "#",
        "'",
        "%",
        "%2e",
        "%2f",
        "[::1]",
        "~",
        "\\",
        "é",
    ];
    let mut accepted = 0;
    for number in 0..PIECES.len().pow(3) * BEGINNINGS.len() {
        let mut raw = String::from(BEGINNINGS[number % BEGINNINGS.len()]);
        let mut left = number / BEGINNINGS.len();
        while left > 0 {
            raw.push_str(PIECES[left % PIECES.len()]);
            left /= PIECES.len();
        }
        for own_host in ["", "-.b.c"] {
            let (ours, slow) = (Parts::read(&raw, own_host), slow_read(&raw, own_host));
            accepted += usize::from(ours.is_ok());
            assert_eq!(format!("{ours:?}"), format!("{slow:?}"), "{raw} {own_host}");
        }
    }
    assert!(accepted > 10_000, "{accepted}");
    for byte in 0..=u8::MAX {
        let text = [b'%', b'a', byte, byte];
        for text in [&text[..], &text[2..]] {
            assert_eq!(is_url_text(text), is_slow_url_text(text), "{text:?}");
        }
    }
}
