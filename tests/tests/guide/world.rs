//! A server, with TLS in front of it or without, and the person who is asked.

use std::sync::mpsc::{Receiver, Sender, channel};

use http::Request;
use mcp_authz_core::effect::Visit;
use mcp_authz_driver::testing::front::Front;
use mcp_authz_driver::tls::{CertificateDer, Roots};
use mcp_authz_host::browser::{Browser, BrowserRefused};
use mcp_authz_host::person;
use mcp_authz_tests::model::{AnswerForm, Settings};
use mcp_authz_tests::serve::{Door, Served, embedded_behind};

/// How the server is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wire {
    Plain,
    Tls,
}

pub(crate) struct World {
    pub(crate) served: Served,
    authorities: Vec<CertificateDer<'static>>,
}

impl World {
    /// An ordinary server that answers in JSON.
    pub(crate) fn new(wire: Wire) -> Self {
        let adjust = |settings: &mut Settings| {
            settings.mcp.answers = AnswerForm::Json;
            // What the guide asks for is what this server wants.
            settings.gate.base = vec!["mcp".to_owned()];
            settings.gate.methods.clear();
            settings.gate.tools.clear();
        };
        let door = || Door::open(0).unwrap();
        if wire == Wire::Plain {
            let doors = [door(), door(), door()];
            let served = embedded_behind(Settings::default(), doors, adjust).unwrap();
            return Self { served, authorities: Vec::new() };
        }
        let fronts = [Front::bind(), Front::bind(), Front::bind()];
        let authorities = fronts.iter().map(Front::authority).collect();
        let doors = fronts.map(|front| {
            let door = Door::behind(&front.origin()).unwrap();
            front.lead_to(door.address().unwrap());
            door
        });
        let served = embedded_behind(Settings::default(), doors, adjust).unwrap();
        Self { served, authorities }
    }

    /// Whom a client of this server has to trust.
    pub(crate) fn roots(&self) -> Roots {
        match self.authorities.is_empty() {
            true => Roots::default(),
            false => Roots::Only(self.authorities.clone().into()),
        }
    }

    pub(crate) fn person(&self) -> Person<'_> {
        Person(&self.served)
    }
}

/// Agrees to everything.
pub(crate) struct Person<'a>(&'a Served);

impl Person<'_> {
    /// Visits a page and agrees: where the browser is sent then.
    pub(crate) fn visit(&self, url: &str) -> String {
        let request = Request::get(url).body(Vec::new()).unwrap();
        let now = self.0.now_ms();
        let answer = self.0.lock().handle(&request, now);
        answer.headers["location"].to_str().unwrap().to_owned()
    }
}

/// The shipped person with a browser that needs no screen: it follows the redirect to the listener.
pub(crate) struct Desktop;

impl Desktop {
    #[expect(clippy::new_ret_no_self, reason = "stands for the real one in the guide")]
    pub(crate) fn new() -> person::Desktop {
        person::Desktop::new().browser(Follows(None)).say(|_| {})
    }

    /// The same, handing on where its browser has come back to, and the page that it was shown.
    pub(crate) fn reading() -> (person::Desktop, Receiver<(String, String)>) {
        let (sender, read) = channel();
        (person::Desktop::new().browser(Follows(Some(sender))).say(|_| {}), read)
    }
}

struct Follows(Option<Sender<(String, String)>>);

impl Browser for Follows {
    fn open(&self, visit: &Visit) -> Result<(), BrowserRefused> {
        let follow = |url: &str| {
            let agent =
                ureq::Agent::config_builder().max_redirects(0).max_redirects_will_error(false);
            ureq::Agent::new_with_config(agent.build()).get(url).call().map_err(|_| BrowserRefused)
        };
        let there = follow(visit.url())?;
        let location = there.headers().get("location").and_then(|value| value.to_str().ok());
        let location = location.ok_or(BrowserRefused)?;
        let page = follow(location)?.body_mut().read_to_string().map_err(|_| BrowserRefused)?;
        match &self.0 {
            Some(reader) => reader.send((location.to_owned(), page)).map_err(|_| BrowserRefused),
            None => Ok(()),
        }
    }
}
