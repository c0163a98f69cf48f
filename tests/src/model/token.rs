//! The token endpoint (RFC 6749, PKCE, resource indicators) and revocation (RFC 7009).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::header::{ALLOW, CACHE_CONTROL};
use http::{Method, StatusCode};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::Model;
use super::answer::{Answer, lay_over};
use super::authorize::is_base64url;
use super::client::{Client, bad_request, unauthenticated};
use super::grant::{Access, Family, Refresh};
use super::params::{Call, words};
use super::server::{AuthMethod, ResourceRule, Server};
use super::sloppy;
use super::tokens::{ExpiresIn, RefreshIssue, Rotation, ScopeEcho};

impl Model {
    pub(crate) fn token(&mut self, call: &Call<'_>, index: usize) -> Answer {
        if *call.method != Method::POST {
            return Answer::empty(StatusCode::METHOD_NOT_ALLOWED).header(ALLOW, "POST");
        }
        let server = self.server(index);
        let refresh = call.form.get("grant_type") == Some("refresh_token");
        if refresh && self.outages < server.tokens.refresh_outages {
            self.outages = self.outages.saturating_add(1);
            return sloppy::unavailable();
        }
        match self.grant(call, index, &server) {
            Ok(answer) | Err(answer) => sloppy::as_told(&server.tokens, answer, refresh),
        }
    }

    fn grant(&mut self, call: &Call<'_>, index: usize, server: &Server) -> Result<Answer, Answer> {
        whole_form(call)?;
        let exchange = call.form.get("grant_type") == Some("authorization_code");
        if exchange && self.forgotten < server.tokens.forgets_clients {
            self.forgotten = self.forgotten.saturating_add(1);
            self.forget_clients();
        }
        self.exchanges = self.exchanges.saturating_add(usize::from(exchange));
        if exchange && server.tokens.refuses_exchange == Some(self.exchanges) {
            return Err(unauthenticated(false, "not now"));
        }
        let client = self.authenticate(call, index, server)?;
        let grant_type = call
            .form
            .get("grant_type")
            .ok_or_else(|| bad_request("invalid_request", "no grant_type"))?;
        if !server.grant_types.iter().any(|known| known == grant_type) {
            return Err(bad_request("unsupported_grant_type", "this grant is not offered"));
        }
        if !client.may(grant_type) {
            return Err(bad_request(
                "unauthorized_client",
                "the client did not register this grant",
            ));
        }
        match grant_type {
            "authorization_code" => self.exchange(call, index, server, &client),
            "refresh_token" => self.refresh(call, index, server, &client),
            "client_credentials" => self.client_credentials(call, index, server, &client),
            _ => Err(bad_request("unsupported_grant_type", "this grant is not offered")),
        }
    }

    fn exchange(
        &mut self,
        call: &Call<'_>,
        index: usize,
        server: &Server,
        client: &Client,
    ) -> Result<Answer, Answer> {
        let invalid = |description: &str| Err(bad_request("invalid_grant", description));
        let code =
            call.form.get("code").ok_or_else(|| bad_request("invalid_request", "no code"))?;
        let Some(record) = self.grants.codes.get_mut(code) else {
            return invalid("unknown code");
        };
        let number = record.family;
        if std::mem::replace(&mut record.used, true) {
            self.grants.revoke(number);
            return invalid("the code was used before; what it gave is revoked");
        }
        let record = record.clone();
        let Some(family) = self.grants.family(number).cloned() else {
            return invalid("unknown consent");
        };
        if family.server != index || family.client != client.id {
            return invalid("the code was given to another client");
        }
        if family.revoked || record.ends <= call.now {
            return invalid("the code has expired");
        }
        if call.form.get("redirect_uri") != Some(record.redirect_uri.as_str()) {
            return invalid("redirect_uri differs from the authorization request");
        }
        match call.form.get("code_verifier") {
            None => return Err(bad_request("invalid_request", "code_verifier is missing")),
            Some(verifier) if !is_verifier(verifier) => {
                return Err(bad_request("invalid_request", "code_verifier is malformed"));
            }
            Some(verifier)
                if URL_SAFE_NO_PAD.encode(Sha256::digest(verifier)) != record.challenge =>
            {
                return invalid("code_verifier does not match");
            }
            Some(_) => {}
        }
        self.same_resource(call, server, &family)?;
        Ok(self.issue(call, server, client, number, &family.scopes, Some(Next::New)))
    }

    fn refresh(
        &mut self,
        call: &Call<'_>,
        index: usize,
        server: &Server,
        client: &Client,
    ) -> Result<Answer, Answer> {
        let invalid = |description: &str| Err(bad_request("invalid_grant", description));
        let token = call
            .form
            .get("refresh_token")
            .ok_or_else(|| bad_request("invalid_request", "no refresh_token"))?;
        let Some(record) = self.grants.refresh.get(token).cloned() else {
            return invalid("unknown refresh token");
        };
        let Some(family) = self.grants.family(record.family).cloned() else {
            return invalid("unknown consent");
        };
        if family.server != index || family.client != client.id {
            return invalid("the refresh token was given to another client");
        }
        if family.revoked || record.ends.is_some_and(|ends| ends <= call.now) {
            return invalid("the refresh token has expired or was revoked");
        }
        if let (Some(first), Rotation::On { revoke_family, grace_ms }) =
            (record.rotated, server.tokens.rotation)
            && call.now >= first.saturating_add(grace_ms)
        {
            if revoke_family {
                self.grants.revoke(record.family);
            }
            return invalid("the refresh token was rotated before");
        }
        self.same_resource(call, server, &family)?;
        let scopes = match call.form.get("scope").map(words) {
            None => family.scopes.clone(),
            Some(asked) if asked.iter().all(|scope| family.scopes.contains(scope)) => asked,
            Some(_) => return Err(bad_request("invalid_scope", "more than was granted")),
        };
        if server.tokens.refresh_ends_access {
            self.grants.revoke_access_of(record.family);
        }
        let next = match server.tokens.rotation {
            Rotation::Off => None,
            Rotation::On { .. } => {
                if let Some(record) = self.grants.refresh.get_mut(token) {
                    record.rotated.get_or_insert(call.now);
                }
                Some(Next::Rotated)
            }
        };
        Ok(self.issue(call, server, client, record.family, &scopes, next))
    }

    fn client_credentials(
        &mut self,
        call: &Call<'_>,
        index: usize,
        server: &Server,
        client: &Client,
    ) -> Result<Answer, Answer> {
        if client.method == AuthMethod::None {
            return Err(bad_request("unauthorized_client", "a public client has no credentials"));
        }
        let resource = self.judge_resource(server, call.form.get("resource"));
        let resource = resource.map_err(|(code, description)| bad_request(code, description))?;
        let scopes = call.form.get("scope").map_or_else(|| server.default_scopes.clone(), words);
        let family = Family {
            server: index,
            client: client.id.clone(),
            scopes: scopes.clone(),
            resource,
            revoked: false,
        };
        let number = self.grants.begin(family);
        Ok(self.issue(call, server, client, number, &scopes, None))
    }

    /// `resource` of a token request must be there by the same rule as before, and be the one consented to.
    fn same_resource(
        &self,
        call: &Call<'_>,
        server: &Server,
        family: &Family,
    ) -> Result<(), Answer> {
        if server.resource == ResourceRule::Ignored {
            return Ok(());
        }
        let asked = self.judge_resource(server, call.form.get("resource"));
        let asked = asked.map_err(|(code, description)| bad_request(code, description))?;
        if asked != family.resource {
            return Err(bad_request(
                "invalid_target",
                "resource differs from the authorization request",
            ));
        }
        Ok(())
    }

    fn issue(
        &mut self,
        call: &Call<'_>,
        server: &Server,
        client: &Client,
        family: u64,
        scopes: &[String],
        next: Option<Next>,
    ) -> Answer {
        let rules = &server.tokens;
        let access = self.access_token(rules.length);
        let ends = call.now.saturating_add(rules.access_life_s.saturating_mul(1000));
        self.grants.issue_access(
            access.clone(),
            Access {
                family,
                scopes: scopes.to_vec(),
                ends,
                uses: rules.access_uses,
                revoked: false,
            },
        );
        let mut members = vec![("access_token", json!(access))];
        members.extend(rules.token_type.as_ref().map(|name| ("token_type", json!(name))));
        members.extend(
            expires_in(rules.expires_in, rules.access_life_s).map(|value| ("expires_in", value)),
        );
        members.extend(scope_member(&rules.scope, scopes).map(|value| ("scope", value)));
        let offline = scopes.iter().any(|scope| scope == "offline_access");
        let wanted = match (rules.refresh, next) {
            (_, None) | (RefreshIssue::Never, Some(Next::New)) => false,
            (RefreshIssue::OfflineAccess, Some(Next::New)) => offline,
            _ => true,
        };
        if wanted && client.may("refresh_token") {
            let token = format!("rt-{}", self.fresh("refresh"));
            let ends = rules.refresh_life_ms.map(|life| call.now.saturating_add(life));
            self.grants.refresh.insert(token.clone(), Refresh { family, ends, rotated: None });
            members.push(("refresh_token", json!(token)));
        }
        let document = Value::Object(
            members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
        );
        let document = lay_over(document, &rules.members);
        let answer = Answer::json(StatusCode::OK, &document).header(CACHE_CONTROL, "no-store");
        Answer { granted: Some(document), ..answer }
    }

    fn access_token(&mut self, length: usize) -> String {
        let mut token = String::from("at-");
        while token.len() < length {
            token.push_str(&self.fresh("access"));
        }
        token.truncate(length.max(16));
        token
    }

    pub(crate) fn revoke(&mut self, call: &Call<'_>, index: usize) -> Answer {
        if *call.method != Method::POST {
            return Answer::empty(StatusCode::METHOD_NOT_ALLOWED).header(ALLOW, "POST");
        }
        let server = self.server(index);
        match self.revoked(call, index, &server) {
            Ok(()) => Answer::empty(StatusCode::OK),
            Err(answer) => answer,
        }
    }

    fn revoked(&mut self, call: &Call<'_>, index: usize, server: &Server) -> Result<(), Answer> {
        whole_form(call)?;
        let client = self.authenticate(call, index, server)?;
        let token =
            call.form.get("token").ok_or_else(|| bad_request("invalid_request", "no token"))?;
        let Some(number) = self.grants.family_of(token) else {
            return Ok(());
        };
        let owned = self
            .grants
            .family(number)
            .is_some_and(|family| family.server == index && family.client == client.id);
        if !owned {
            return Err(bad_request(
                "unauthorized_client",
                "the token was given to another client",
            ));
        }
        if self.grants.refresh.contains_key(token) {
            self.grants.revoke(number);
        } else {
            self.grants.revoke_access_token(token);
        }
        Ok(())
    }
}

/// Where a refresh token would come from.
#[derive(Clone, Copy)]
enum Next {
    New,
    Rotated,
}

fn whole_form(call: &Call<'_>) -> Result<(), Answer> {
    if !call.is_form() {
        return Err(bad_request(
            "invalid_request",
            "the body is not application/x-www-form-urlencoded",
        ));
    }
    if call.form.repeated().is_some() {
        return Err(bad_request("invalid_request", "a parameter occurs twice"));
    }
    // Parameters in a URL are in every log on the way.
    if !call.query.0.is_empty() {
        return Err(bad_request("invalid_request", "parameters in the URL"));
    }
    Ok(())
}

fn is_verifier(verifier: &str) -> bool {
    (43..=128).contains(&verifier.len())
        && verifier.bytes().all(|byte| is_base64url(byte) || matches!(byte, b'.' | b'~'))
}

fn expires_in(form: ExpiresIn, life: u64) -> Option<Value> {
    Some(match form {
        ExpiresIn::Number => json!(life),
        ExpiresIn::Text => json!(life.to_string()),
        ExpiresIn::Float => json!(std::time::Duration::from_secs(life).as_secs_f64()),
        ExpiresIn::Zero => json!(0),
        ExpiresIn::Negative => json!(-1),
        ExpiresIn::Huge => json!(1e30),
        ExpiresIn::Nonsense => json!("soon"),
        ExpiresIn::Absent => return None,
    })
}

fn scope_member(form: &ScopeEcho, scopes: &[String]) -> Option<Value> {
    match form {
        ScopeEcho::Absent => None,
        ScopeEcho::Commas => Some(json!(scopes.join(","))),
        ScopeEcho::Array => Some(json!(scopes)),
        _ if scopes.is_empty() => None,
        ScopeEcho::AsAsked | ScopeEcho::Narrower | ScopeEcho::Wider(_) => {
            Some(json!(scopes.join(" ")))
        }
    }
}
