//! The stages that the states of a login run, and what each of them asks for.

use std::sync::Arc;

use crate::config::ResourceParameter::{Omitted, Replaced};
use crate::effect::Spend;
use crate::failure::{Failure, Kind};
use crate::flow::login::{Cause, Login, Member, State, Why};
use crate::flow::{Course, bug};
use crate::record::{Class, Client, Held, Way};
use crate::session::lanes::Flow;
use crate::session::{Now, Session};
use crate::stage::Stage;
use crate::stage::authorization::{self, Authorization};
use crate::stage::claim::{Certainty, Intent};
use crate::stage::discovery::{self, Discovery, Found};
use crate::stage::recall::Recall;
use crate::stage::registration::Registration;
use crate::stage::token::{self, Token};
use crate::stage::vault::{Save, Write};
use crate::wire::url::ServerUrl;

impl Session {
    /// The stage that the state of a login runs.
    pub(super) fn stage_of_login(
        &mut self,
        flow: &mut Flow,
        now: &mut Now,
    ) -> Result<Stage, Failure> {
        let (bound, orphaned, restored) = (flow.listener.is_some(), flow.orphaned, flow.restored);
        let Course::Login(login) = &mut flow.course else { return Err(bug()) };
        if let State::Exchanging { member, approved, .. } = &mut login.state {
            let approved = approved.take().ok_or_else(bug)?;
            return self.exchange(member, approved);
        }
        let login = &*login;
        Ok(match &login.state {
            State::Finding => {
                let (pointer, cause) = (login.why.pointer.clone(), login.why.cause);
                Stage::Discovery(Discovery::new(self.discovery(pointer, Some(cause))))
            }
            State::Enrolling { place, again } => {
                Stage::Registration(Registration::new(self.enrolment(place, again.as_ref())))
            }
            State::SavingClient { member } => {
                Stage::Save(Save::client(member.enrolled.client.clone().ok_or_else(bug)?))
            }
            State::Asking { .. } if orphaned => {
                return Err(Failure::new(Kind::Cancelled, "HOST-195"));
            }
            State::Asking { member } => {
                let visit = self.authorization(member, bound);
                self.count_visit(&login.why, &visit, now);
                Stage::Authorization(Authorization::new(visit))
            }
            State::Noting { login: name, .. } => {
                let certainty = if restored { Certainty::Needed } else { Certainty::Wanted };
                let spend = Spend::Code { login: (**name).to_owned() };
                Stage::Intent(Intent::new(self.key_of_login(login)?, spend, certainty))
            }
            State::Looking { .. } => Stage::Recall(Recall::again(self.key_of_login(login)?)),
            State::Saving { held, replaces, .. } => {
                let grant = Write::Grant(held.clone(), replaces.clone());
                Stage::Save(Save::new(self.writes_of_login(login, grant)))
            }
            State::Marking { client, .. } => Stage::Save(Save::client(client.clone())),
            State::Exchanging { .. } | State::Start | State::Over { .. } | State::Spent => {
                return Err(bug());
            }
        })
    }

    /// The stage that sends the code.
    fn exchange(
        &self,
        member: &Member,
        approved: authorization::Approved,
    ) -> Result<Stage, Failure> {
        let (found, enrolled) = (&member.place.found, &member.enrolled);
        let endpoint = found.server.token_endpoint.clone();
        endpoint.recheck("token_endpoint", &self.config.reach)?;
        let redirect_uri = enrolled.redirect.uri.clone();
        Ok(Stage::Token(Token::new(token::Ask {
            spend: token::Spent::Code { approved, redirect_uri },
            endpoint,
            credentials: enrolled.credentials.clone(),
            resource_parameter: self.resource_parameter(found),
            scope: None,
        })))
    }

    /// The writes of a login: its grant, client and binding. The three belong together, even if
    /// another process has written one of them meanwhile.
    fn writes_of_login(&self, login: &Login, grant: Write) -> Vec<Write> {
        let mut writes = Vec::with_capacity(3);
        writes.push(grant);
        writes.extend(self.granted_to(login).map(|client| Write::Client(client, true)));
        writes.extend(self.binding(login).map(Write::Binding));
        writes
    }

    /// The dynamic registration that a login was made with.
    fn granted_to(&self, login: &Login) -> Option<Held<Client>> {
        let enrolled = login.member()?.dynamic()?;
        let ours = || self.body.memory.client(&enrolled.credentials.client_id).cloned();
        let mut client = enrolled.client.clone().or_else(ours)?;
        client.value.succeeded();
        Some(client)
    }

    /// The search of a login with this cause. Without a cause it only checks whether the issuer is
    /// still listed.
    pub(super) fn discovery(
        &self,
        pointer: Option<ServerUrl>,
        login: Option<Cause>,
    ) -> discovery::Ask {
        let binding = self.body.memory.binding.as_ref().map(|held| &held.value);
        let shown = self.body.memory.shown_metadata;
        discovery::Ask {
            pointer,
            bound: binding.map(|binding| binding.listed.clone()),
            pinned: shown || binding.is_some_and(|binding| binding.class == Class::Resource),
            listing_only: login.is_none(),
            // The server has wanted a login before, or wants one now.
            refused: binding.is_some() || !matches!(login, Some(Cause::Asked | Cause::Named)),
            knocks: login == Some(Cause::Named) && binding.is_none() && !shown,
        }
    }

    /// The request for the page of a login. `bound` says that a listener is bound already.
    fn authorization(&self, member: &Member, bound: bool) -> authorization::Ask {
        let Member { place, enrolled, .. } = member;
        let (found, server) = (&place.found, &place.found.server);
        let dynamic = enrolled.way == Way::Dynamic;
        let registered = server.registration_endpoint.as_ref().filter(|_| dynamic);
        let token_host: Arc<str> = server.token_endpoint.host_str().into();
        let host = |at: &ServerUrl| match at.host_str() {
            same if *same == *token_host => Arc::clone(&token_host),
            other => other.into(),
        };
        authorization::Ask {
            endpoint: server.authorization_endpoint.clone(),
            registration_host: registered.map(host),
            revocation_host: server.revocation_endpoint.as_ref().map(host),
            token_host: Arc::clone(&token_host),
            issuer: server.issuer.clone(),
            listed: found.listed.clone(),
            previous_issuer: place.previous_issuer.clone(),
            iss_promised: server.iss_promised,
            legacy: found.class == Class::Legacy,
            client_id: enrolled.credentials.client_id.clone(),
            redirect_uri: enrolled.redirect.uri.clone(),
            listen: enrolled.redirect.listen.clone(),
            bound,
            resource: self.resource(found),
            resource_parameter: self.resource_parameter(found),
            scopes: Arc::clone(&place.scopes),
        }
    }

    /// The resource of keys and records: the metadata's own string, or the canonical MCP URL.
    pub(super) fn resource(&self, found: &Found) -> Arc<str> {
        found.resource.clone().unwrap_or_else(|| Arc::clone(&self.config.name))
    }

    /// The resource as it is sent (RES-03, D8).
    pub(super) fn resource_parameter(&self, found: &Found) -> Option<Arc<str>> {
        let mut settings = self.config.settings(&found.listed, &found.server.issuer);
        match settings.find_map(|settings| settings.resource.as_ref()) {
            Some(Omitted) => None,
            Some(Replaced(other)) => Some(other.clone()),
            None => Some(self.resource(found)),
        }
    }

    /// Counts a page that is about to be shown, for the limits.
    fn count_visit(&mut self, why: &Why, visit: &authorization::Ask, now: &Now) {
        let history = &mut self.body.history;
        match why.cause {
            Cause::Asked | Cause::Named => {}
            Cause::Refused | Cause::Expired => history.opened(&visit.issuer, now.mono),
            Cause::StepUp => history.step_up_begins(&why.operation, &visit.scopes, now.mono),
        }
    }
}
