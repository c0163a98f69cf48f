use mcp_authz_core::failure::Switch;

use super::{Snippet, Turned, turn_on};
use crate::options::Options;

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

/// What a snippet prints for a file is read back as the same options.
#[test]
fn the_printed_block_is_read_as_what_it_was_made_of() {
    let options = Options {
        scope: words(&["files:read", "\"quoted\" \\ \u{7f}"]),
        pin_issuer: words(&["https://a.example", "https://b.example"]),
        strict: true,
        proxy: Some("http://user:password@proxy.example".to_owned()),
        ..Options::default()
    };
    let snippet = Snippet::new("https://mcp.mail.example/mcp?key=1", &options, true).unwrap();
    let file = snippet.file();
    assert!(file.starts_with("[servers.mail]\nurl = \"https://mcp.mail.example/mcp\""), "{file}");
    assert!(!file.contains("key") || file.contains("may hold a key"), "{file}");
    assert!(!format!("{file}{}{}", snippet.words(), snippet.rust()).contains("password"));
    let table: toml::Table = toml::from_str(&file).unwrap();
    let mut server = table["servers"]["mail"].as_table().unwrap().clone();
    server.remove("url");
    let read: Options = server.try_into().unwrap();
    assert_eq!(read, Options { proxy: None, ..options });
}

#[test]
fn words_of_a_server_stay_words_for_the_shell() {
    let options = Options { entra: words(&["https://a.example/$(rm)"]), ..Options::default() };
    let snippet = Snippet::new("https://mcp.example/mcp", &options, true).unwrap();
    assert_eq!(snippet.words(), "https://mcp.example/mcp --entra 'https://a.example/$(rm)'");
    assert_eq!(
        snippet.rust(),
        "Config::builder(\"https://mcp.example/mcp\")\n    .danger()\n    \
         .entra(\"https://a.example/$(rm)\")\n    .done()"
    );
}

#[test]
fn only_the_persons_own_host_is_dialled_in_another_way() {
    let host = words(&["mcp.example"]);
    let opening = |switch| [(switch, host.as_slice())].into_iter();
    let mut options = Options::default();
    let turned = turn_on(&mut options, opening(Switch::PlainHttp), Some("other.example"));
    assert!(matches!(turned, Turned::ForPerson(with) if with.allow_plain_http == host));
    let turned = turn_on(&mut options, opening(Switch::PrivateAddress), Some("mcp.example"));
    assert!(matches!(turned, Turned::ForPerson(with) if with.allow_private_address == host));
    assert_eq!(options, Options::default(), "nothing was turned on");
    let turned = turn_on(&mut options, opening(Switch::PlainHttp), Some("mcp.example"));
    assert!(matches!(turned, Turned::On(Switch::PlainHttp, of) if of == "mcp.example"));
    // What is on already does not help a second time.
    let again = turn_on(&mut options, opening(Switch::PlainHttp), Some("mcp.example"));
    assert!(matches!(again, Turned::Nothing));
}

#[test]
fn the_name_of_a_product_goes_before_its_parts() {
    let (issuer, mut options) = (words(&["https://login.example"]), Options::default());
    let openings = [Switch::PkceUnlisted, Switch::Entra].map(|switch| (switch, issuer.as_slice()));
    assert!(matches!(
        turn_on(&mut options, openings.into_iter(), None),
        Turned::On(Switch::Entra, _)
    ));
    assert_eq!((options.entra, options.allow_unlisted_pkce), (issuer, Vec::new()));
}
