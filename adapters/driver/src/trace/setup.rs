//! The configuration and the inputs of a session, with placeholders.

use mcp_authz_core::internals::trace::{
    AtIssuer, Given, Kept, Known, Listed, Outcome, Raw, Refused, Setup, Want,
};

use super::mapping::Mapping;
use super::names::{Rule, rule_of};

impl Mapping {
    /// The settings of a session.
    pub(super) fn setup(&mut self, real: Setup) -> Setup {
        let mut setup = real;
        setup.mcp_url = self.url(&setup.mcp_url);
        self.each(&mut setup.account, Rule::Account);
        if let Some((_, _, path)) = &mut setup.loopback {
            *path = self.url(path);
        }
        self.each(&mut setup.redirect_uri, Rule::Url);
        self.metadata(&mut setup);
        self.each(&mut setup.initial_access_token, Rule::Hidden("initial"));
        if let Some((url, uris, _)) = &mut setup.document {
            *url = self.url(url);
            self.each(uris, Rule::Url);
        }
        setup.clients = setup.clients.into_iter().map(|client| self.known(client)).collect();
        setup.issuers = setup.issuers.into_iter().map(|at| self.at_issuer(at)).collect();
        self.each(&mut setup.preferred_issuer, Rule::Url);
        self.each(&mut setup.scopes, Rule::Scope);
        self.each(&mut setup.default_scopes, Rule::Scope);
        setup.endpoints = setup.endpoints.map(|endpoints| self.listed(endpoints));
        for host in setup.plain_http.iter_mut().chain(&mut setup.private_hosts) {
            *host = self.place(host);
        }
        self.each(&mut setup.prefixes, Rule::Url);
        setup.protocol_version = self.by_rule(Rule::Number, &setup.protocol_version);
        setup
    }

    /// Maps each text of a list or an option.
    fn each<'a>(&mut self, texts: impl IntoIterator<Item = &'a mut String>, rule: Rule) {
        for text in texts {
            *text = self.by_rule(rule, text);
        }
    }

    fn metadata(&mut self, setup: &mut Setup) {
        let it = &mut setup.metadata;
        it.client_name = self.hide("name", &it.client_name);
        self.each(&mut it.software_id, Rule::Hidden("name"));
        self.each(&mut it.software_version, Rule::Hidden("name"));
        self.each(&mut it.contacts, Rule::Hidden("contact"));
        let urls = [&mut it.client_uri, &mut it.logo_uri, &mut it.tos_uri, &mut it.policy_uri];
        self.each(urls.into_iter().chain([&mut it.jwks_uri]).flatten(), Rule::Url);
        // Scopes that were let in are let in again.
        let scope = self.by_rule(Rule::Scope, it.scope.as_str());
        it.scope = mcp_authz_core::scope::ScopeSet::read(&scope).unwrap_or_default();
    }

    fn known(&mut self, client: Known) -> Known {
        Known {
            issuer: client.issuer.map(|issuer| self.url(&issuer)),
            client_id: self.value("client", &client.client_id),
            secret: client.secret.map(|secret| self.hide("secret", &secret)),
            method: client.method,
        }
    }

    fn at_issuer(&mut self, at: AtIssuer) -> AtIssuer {
        let parameters = at.parameters.into_iter().map(|(name, value)| match rule_of(&name) {
            Some(rule) => {
                let value = self.by_rule(rule, &value);
                (name, value)
            }
            None => (self.hide("name", &name), self.value("x", &value)),
        });
        AtIssuer {
            parameters: parameters.collect(),
            issuer: self.url(&at.issuer),
            pin: at.pin.map(|pin| self.url(&pin)),
            resource: at.resource.map(|resource| self.url(&resource)),
            ..at
        }
    }

    fn listed(&mut self, listed: Listed) -> Listed {
        Listed {
            issuer: self.url(&listed.issuer),
            authorization: self.url(&listed.authorization),
            token: self.url(&listed.token),
            registration: listed.registration.map(|url| self.url(&url)),
            revocation: listed.revocation.map(|url| self.url(&url)),
        }
    }

    /// One input.
    pub(super) fn given(&mut self, given: Given) -> Given {
        match given {
            Given::Acquire(want) => Given::Acquire(self.want(want)),
            Given::LogIn(want) => Given::LogIn(self.want(want)),
            Given::Challenge(refused) => Given::Challenge(Refused {
                headers: self.fields(refused.headers),
                operation: self.by_rule(Rule::Operation, &refused.operation),
                ..refused
            }),
            Given::Callback { arrival, url } => {
                Given::Callback { arrival, url: self.callback(&url) }
            }
            Given::Code { arrival, code } => {
                Given::Code { arrival, code: self.by_rule(Rule::Word("code"), &code) }
            }
            Given::Unshown { url } => Given::Unshown { url: self.url(&url) },
            Given::Answer { ticket, proxy, outcome } => Given::Answer {
                ticket: self.ticket(ticket),
                proxy: proxy.map(|proxy| self.place(&proxy)),
                outcome: self.outcome(outcome),
            },
            same => same,
        }
    }

    fn want(&mut self, want: Want) -> Want {
        Want { scopes: self.by_rule(Rule::Scope, &want.scopes), ..want }
    }

    fn fields(&mut self, headers: Vec<(String, Raw)>) -> Vec<(String, Raw)> {
        let field = |(name, value): (String, Raw)| {
            let (name, value) = self.field(&name, value.bytes());
            (name, Raw::new(value))
        };
        headers.into_iter().map(field).collect()
    }

    fn outcome(&mut self, outcome: Outcome) -> Outcome {
        match outcome {
            Outcome::Answered { status, headers, body, cut } => Outcome::Answered {
                status,
                headers: self.fields(headers),
                body: Raw::new(self.document(body.bytes())),
                cut,
            },
            Outcome::Stored(Kept::Loaded(Some(record))) => {
                Outcome::Stored(Kept::Loaded(Some(self.record(record))))
            }
            Outcome::Stored(Kept::Conflict(Some(record))) => {
                Outcome::Stored(Kept::Conflict(Some(self.record(record))))
            }
            Outcome::Signed(Some(bytes)) => Outcome::Signed(Some(vec![0; bytes.len()])),
            same => same,
        }
    }

    fn record(&mut self, (generation, bytes): (u64, Raw)) -> (u64, Raw) {
        (generation, Raw::new(self.document(bytes.bytes())))
    }
}
