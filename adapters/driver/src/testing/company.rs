//! Cases about a session behind a proxy: what its failures and its notes say.

use std::sync::{Arc, Mutex};

use mcp_authz_core::config::{Config, ConfigBuilder, Profile};
use mcp_authz_core::effect::Told;
use mcp_authz_core::failure::Failure;

use super::proxies::named;
use super::server::Server;
use crate::ports::Observer;
use crate::proxy::{Proxies, Proxy};

/// Has a session ask for a grant, with these proxies, and gives its failure.
pub type Ask = fn(Proxies, ConfigBuilder, Noted) -> Arc<Failure>;

/// The notes of a session, as text.
#[derive(Clone, Debug, Default)]
pub struct Noted(Arc<Mutex<Vec<String>>>);

impl Observer for Noted {
    fn told(&self, told: &Told) {
        if let Told::Note(note) = told {
            self.0.lock().unwrap().push(format!("{note} {note:?}"));
        }
    }
}

impl Noted {
    fn all(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }

    fn count(&self, words: &str) -> usize {
        self.all().iter().filter(|note| note.contains(words)).count()
    }
}

const CANARY: &str = "c4n4ry";

fn config() -> ConfigBuilder {
    Config::builder("https://mcp.example/mcp")
}

fn secretive(server: &Server) -> Proxy {
    let port = server.address.port();
    Proxy::new(&format!("http://{CANARY}-user:{CANARY}-pass@127.0.0.1:{port}")).unwrap()
}

/// A person knows which of their settings is wrong, and nobody else learns the password.
pub fn failures_name_the_proxy_and_no_password(ask: Ask) {
    let wants = b"HTTP/1.1 407 c4n4ry\r\nproxy-authenticate: Basic realm=c4n4ry\r\n\r\n";
    let refuses = b"HTTP/1.1 403 c4n4ry\r\ncontent-length: 0\r\n\r\n";
    for (answer, said) in [(&wants[..], "password"), (refuses, "refused"), (b"", "refused")] {
        let server = Server::saying(answer);
        let noted = Noted::default();
        let failure = ask(Proxies::One(secretive(&server)), config(), noted.clone());
        assert_eq!((failure.code(), failure.remedy().name()), ("proxy_refused", "configure"));
        let text = format!("{failure} {failure:?}");
        assert!(text.contains(&server.address.to_string()) && text.contains(said), "{text}");
        let all = format!("{text} {:?} {:?}", noted.all(), secretive(&server));
        assert!(!all.contains(CANARY), "{all}");
    }
}

/// However many requests go through it.
pub fn a_proxy_is_noted_once(ask: Ask) {
    let server = Server::saying(b"HTTP/1.1 502 No\r\n\r\n");
    let noted = Noted::default();
    ask(Proxies::One(named(&server)), config(), noted.clone());
    let note = format!("the proxy {}, which looks names up", server.address);
    assert_eq!(noted.count(&note), 1, "{:?}", noted.all());
    let direct = Noted::default();
    ask(Proxies::Never, config(), direct.clone());
    assert_eq!(direct.count("proxy"), 0, "{:?}", direct.all());
}

/// Strict judges every address itself, or is told that it need not.
pub fn strict_goes_through_a_proxy_by_a_switch_only(ask: Ask) {
    let server = Server::saying(b"HTTP/1.1 502 No\r\n\r\n");
    let strict = || config().profile(Profile::Strict);
    let failure = ask(Proxies::One(named(&server)), strict(), Noted::default());
    assert_eq!(failure.code(), "proxy_forbidden");
    let text = failure.to_string();
    assert!(text.contains("strict_proxy"), "{text}");
    assert!(text.contains(&server.address.to_string()), "{text}");
    assert_eq!(server.connections(), 0);
    let noted = Noted::default();
    let switched = strict().danger().allow_strict_proxy().done();
    let failure = ask(Proxies::One(named(&server)), switched, noted.clone());
    assert_eq!(failure.code(), "proxy_refused");
    assert_eq!(noted.count("lenient: strict_proxy"), 1, "{:?}", noted.all());
    assert!(server.connections() > 0);
}
