//! The gate of the MCP endpoint: bearer tokens in, RFC 6750 challenges out.

use http::StatusCode;
use http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use serde_json::json;

use super::Model;
use super::answer::Answer;
use super::params::Call;
use super::route::prm_url;
use super::rpc;
use super::settings::{ChallengeForm, StepUp, StepUpScope};

/// The caller of a request, as its token names it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Caller {
    pub(crate) subject: Option<String>,
    pub(crate) client: Option<String>,
    pub(crate) scopes: Vec<String>,
}

/// One thing a caller wants to do.
#[derive(Clone, Debug)]
pub(crate) struct Wish<'a> {
    pub(crate) method: &'a str,
    pub(crate) tool: Option<&'a str>,
}

impl Model {
    /// Lets a request in, or says why not. Comes before anything else is looked at, so that an unauthorized client
    /// learns nothing about the server but where to get a token.
    pub(crate) fn admit(&mut self, call: &Call<'_>, wishes: &[Wish<'_>]) -> Result<Caller, Answer> {
        if self.settings.gate.open {
            return Ok(Caller::default());
        }
        if call.query.get("access_token").is_some() {
            return Err(self.challenge(StatusCode::BAD_REQUEST, Some("invalid_request"), None));
        }
        let caller = match call.credentials("Bearer") {
            None if self.lets_in_without_token(wishes) => return Ok(Caller::default()),
            None => {
                let scope = self.settings.challenge.scope.clone();
                return Err(self.challenge(StatusCode::UNAUTHORIZED, None, scope));
            }
            Some(_) if call.headers.get_all(AUTHORIZATION).iter().count() > 1 => {
                return Err(self.challenge(StatusCode::BAD_REQUEST, Some("invalid_request"), None));
            }
            Some(token) => {
                let caller = self.bearer(token, call.now)?;
                self.grants.use_access(token);
                caller
            }
        };
        for wish in wishes {
            self.check_scopes(&caller, wish)?;
        }
        self.count_authorized();
        Ok(caller)
    }

    fn lets_in_without_token(&mut self, wishes: &[Wish<'_>]) -> bool {
        let exempt = |wish: &Wish<'_>| {
            let covers = |entry: &String| match entry.strip_suffix('/') {
                Some(_) => wish.method.starts_with(entry.as_str()),
                None => wish.method == entry,
            };
            self.settings.gate.exempt.iter().any(covers)
        };
        if !wishes.is_empty() && wishes.iter().all(exempt) {
            return true;
        }
        self.transport.let_in_free(self.settings.gate.free)
    }

    fn bearer(&self, token: &str, now: u64) -> Result<Caller, Answer> {
        let invalid = || {
            let scope = self.settings.challenge.scope.clone();
            Err(self.challenge(StatusCode::UNAUTHORIZED, Some("invalid_token"), scope))
        };
        let Some((access, family)) = self.grants.good_access(token, now) else {
            return invalid();
        };
        // A token without a resource was asked for where `resource` need not be sent; it is for the only one there is.
        let ours =
            family.resource.as_ref().is_none_or(|resource| *resource == self.settings.resource());
        if !ours || family.server != self.current {
            return invalid();
        }
        Ok(Caller {
            subject: Some(self.settings.subject.clone()),
            client: Some(family.client.clone()),
            scopes: access.scopes.clone(),
        })
    }

    fn check_scopes(&mut self, caller: &Caller, wish: &Wish<'_>) -> Result<(), Answer> {
        let gate = &self.settings.gate;
        let method = gate.methods.get(wish.method);
        let tool = wish.tool.and_then(|tool| gate.tools.get(tool));
        let special: Vec<String> = method.into_iter().chain(tool).flatten().cloned().collect();
        let needed: Vec<String> = gate.base.iter().chain(&special).cloned().collect();
        let missing: Vec<String> =
            needed.iter().filter(|scope| !caller.scopes.contains(scope)).cloned().collect();
        match gate.step_up {
            StepUp::Endless if !special.is_empty() => {
                let scope = format!("more:{}", self.transport.next_step());
                return Err(self.challenge(
                    StatusCode::FORBIDDEN,
                    Some("insufficient_scope"),
                    Some(scope),
                ));
            }
            StepUp::Stuck if !special.is_empty() => {
                let scope = Some(needed.join(" "));
                return Err(self.challenge(
                    StatusCode::FORBIDDEN,
                    Some("insufficient_scope"),
                    scope,
                ));
            }
            _ if missing.is_empty() => return Ok(()),
            _ => {}
        }
        let named = match self.settings.challenge.step_up {
            StepUpScope::Missing => Some(missing.join(" ")),
            StepUpScope::Needed => Some(needed.join(" ")),
            StepUpScope::Unnamed => None,
        };
        Err(self.challenge(StatusCode::FORBIDDEN, Some("insufficient_scope"), named))
    }

    fn count_authorized(&mut self) {
        let served = self.transport.count_authorized();
        if self.settings.migrate_after == Some(served) {
            self.migrate();
        }
    }

    pub(crate) fn challenge(
        &self,
        status: StatusCode,
        error: Option<&str>,
        scope: Option<String>,
    ) -> Answer {
        let rules = &self.settings.challenge;
        let code = error.unwrap_or("unauthorized");
        let body = match rules.rpc {
            Some(rpc) => rpc::error(None, rpc, code, None),
            None => json!({"error": code}),
        };
        let mut answer = Answer::json(status, &body).because(code);
        match &rules.form {
            ChallengeForm::Bare => {}
            ChallengeForm::Literal(lines) => {
                for line in lines {
                    answer = answer.header(WWW_AUTHENTICATE, line);
                }
            }
            ChallengeForm::Bearer => {
                let place = self
                    .settings
                    .prm
                    .places
                    .first()
                    .and_then(|place| prm_url(&self.settings, place));
                let pointer = rules.pointer.clone().or(place).filter(|_| rules.resource_metadata);
                let params = [
                    ("error", error.map(str::to_owned)),
                    ("scope", scope),
                    ("resource_metadata", pointer),
                ];
                let params: Vec<String> = params
                    .into_iter()
                    .filter_map(|(name, value)| value.map(|value| format!("{name}=\"{value}\"")))
                    .collect();
                answer = answer
                    .header(WWW_AUTHENTICATE, format!("Bearer {}", params.join(", ")).trim_end());
            }
        }
        answer
    }
}
