//! Running a flow: stage after stage, until one waits or the goal is reached.

use std::sync::Arc;

use crate::effect::{Page, Reply, Settlement, Told};
use crate::failure::{Failure, Fault, Kind, Remedy};
use crate::machine::{Cx, Signal};
use crate::note::{Choice, Note};
use crate::record::{Binding, Class, Document, FORMAT, Grant, Held, Unknown, Way};
use crate::scope::ScopeSet;
use crate::session::lanes::{
    Brought, Cause, Flow, Goal, Lane, Late, LoginGoal, Moved, Parking, Stage,
};
use crate::session::memory::fill;
use crate::session::plan::{Step, next_step};
use crate::session::scopes::{self, Named};
use crate::session::waiters::{Waiting, Want};
use crate::session::{Now, Session, unhelped};
use crate::stage::authorization::{self, Authorization};
use crate::stage::discovery::{self, Discovery, Found, Looked};
use crate::stage::registration::{self, Enrolled, Registration};
use crate::stage::token::{self, Minted, Spend, Token};
use crate::stage::vault::{Over, Recall, Recalled, Save, Saved, Write};
use crate::wire::token::{ErrorCode, TokenRefusal, TokenRules, Tokens, read_tokens};

impl Session {
    /// Starts a flow in a free lane. Answers whether it has ended already.
    pub(super) fn start(&mut self, lane: Lane, goal: Goal, now: &mut Now) -> bool {
        self.launch(lane, Flow::new(goal), now)
    }

    pub(super) fn launch(&mut self, lane: Lane, mut flow: Flow, now: &mut Now) -> bool {
        flow.ground.logins = self.body.memory.logins;
        flow.ground.epoch = self.body.memory.epoch;
        match self.prepare(&mut flow, now) {
            Ok(Some(stage)) => {
                flow.stage = Some(stage);
                self.run(lane, flow, Signal::Begin, now);
            }
            Ok(None) => self.end(lane, flow, Ok(()), now),
            Err(failure) => self.end(lane, flow, Err(failure), now),
        }
        self.lane(lane).is_none()
    }

    /// Gives a flow's stage a signal, and goes on from stage to stage until one waits.
    pub(super) fn run(&mut self, lane: Lane, mut flow: Flow, signal: Signal, now: &mut Now) {
        let mut signal = signal;
        loop {
            let Some(stage) = flow.stage.take() else {
                return self.end(lane, flow, Err(fault(now)), now);
            };
            let moved = self.step(stage, signal, &mut flow, now);
            let brought = match moved {
                Ok(Moved::Wait(stage, parked)) => {
                    flow.stage = Some(stage);
                    // A stage that goes on waiting keeps the ticket it had.
                    let kept = flow.parking.take().and_then(|parking| parking.ticket);
                    flow.parking = Some(Parking {
                        awaited: parked.awaited,
                        until: parked.until,
                        ticket: parked.ticket.or(kept),
                    });
                    if let Some(work) = parked.work {
                        if matches!(work, crate::effect::Work::Listen(_)) {
                            flow.listener = Some(work.id());
                        }
                        now.out.work.push(work);
                    }
                    *self.lane(lane) = Some(flow);
                    return;
                }
                Ok(Moved::Done(brought)) => brought,
                // A server that cannot say now whether the issuer is still listed stops no
                // refresh (STEP-12).
                Err(failure) if flow.relisting() && failure.remedy().retryable() => {
                    let subject = failure.subject().unwrap_or_default().to_owned();
                    let (kind, rule) = (failure.kind(), failure.rule());
                    now.note(Note::Dropped { kind, rule, subject });
                    Brought::Looked(Looked::StillListed)
                }
                Err(failure) => return self.end(lane, flow, Err(failure), now),
            };
            flow.parking = None;
            let prepared = match self.absorb(&mut flow, brought, now) {
                Ok(()) => self.prepare(&mut flow, now),
                Err(failure) => Err(failure),
            };
            match prepared {
                Ok(Some(stage)) => flow.stage = Some(stage),
                Ok(None) => return self.end(lane, flow, Ok(()), now),
                Err(failure) => return self.end(lane, flow, Err(failure), now),
            }
            signal = Signal::Begin;
        }
    }

    fn step(
        &mut self,
        stage: Stage,
        signal: Signal,
        flow: &mut Flow,
        now: &mut Now,
    ) -> Result<Moved, Failure> {
        let callback = matches!(signal, Signal::Callback(_));
        let mut cx = Cx {
            config: &self.config,
            wall: now.wall,
            mono: now.mono,
            draw: &mut now.draw,
            told: &mut now.out.told,
            budget: &mut flow.budget,
            evidence: &mut flow.evidence,
            shown_metadata: &mut self.body.memory.shown_metadata,
            page: None,
        };
        let moved = stage.step(signal, &mut cx);
        if callback
            && let Some(page) = cx.page
            && let Some(arrival) = flow.arrivals.pop()
        {
            now.out.told.push(Told::Page { arrival, page });
        }
        moved
    }

    /// The next stage of a flow, made of what is known; `None` when the goal is reached.
    fn prepare(&mut self, flow: &mut Flow, now: &mut Now) -> Result<Option<Stage>, Failure> {
        let config = Arc::clone(&self.config);
        let memory = &self.body.memory;
        let held = || memory.grant.as_ref().ok_or_else(missing);
        Ok(Some(match next_step(&flow.goal, &flow.ground, config.persistent) {
            Step::End => return Ok(None),
            Step::Recall => Stage::Recall(Recall::all(config.mcp_url(), config.account())),
            Step::Look => Stage::Recall(Recall::again(&held()?.value)),
            Step::Relist => {
                let pointer = match &flow.goal {
                    Goal::Refresh(goal) => goal.pointer.clone(),
                    _ => None,
                };
                Stage::Discovery(Discovery::new(self.discovery(pointer, true)))
            }
            Step::Discover => {
                let Goal::Login(goal) = &flow.goal else { return Err(fault(now)) };
                let pointer = goal.pointer.clone();
                Stage::Discovery(Discovery::new(self.discovery(pointer, false)))
            }
            Step::Enroll => Stage::Registration(Registration::new(self.enrolment(flow)?)),
            Step::KeepClient => {
                let enrolled = flow.ground.enrolled.as_ref().ok_or_else(missing)?;
                let client = enrolled.client.clone().ok_or_else(missing)?;
                Stage::Save(Save::new(vec![Write::Client(client)]))
            }
            Step::Authorize if flow.orphaned => {
                return Err(Failure::new(Kind::Cancelled, "HOST-195"));
            }
            Step::Authorize => {
                let visit = self.visit(flow)?;
                self.count_visit(flow, &visit, now);
                Stage::Authorization(Authorization::new(visit))
            }
            Step::Exchange => {
                let found = flow.ground.found.as_ref().ok_or_else(missing)?;
                let enrolled = flow.ground.enrolled.as_ref().ok_or_else(missing)?;
                let approved = flow.ground.approved.take().ok_or_else(missing)?;
                Stage::Token(Token::new(token::Ask {
                    spend: Spend::Code { approved, redirect_uri: enrolled.redirect.uri.clone() },
                    endpoint: found.server.token_endpoint.clone(),
                    credentials: enrolled.credentials.clone(),
                    resource_parameter: self.resource_parameter(found),
                }))
            }
            Step::Refresh => {
                let grant = &held()?.value;
                let credentials = memory.credentials(&config, now.wall).ok_or_else(missing)?;
                let refresh_token = grant.refresh_token.clone().ok_or_else(missing)?;
                Stage::Token(Token::new(token::Ask::refresh(grant, refresh_token, credentials)))
            }
            Step::Keep => Stage::Save(Save::new(self.writes(flow))),
        }))
    }

    fn discovery(
        &self,
        pointer: Option<crate::wire::url::ServerUrl>,
        listing_only: bool,
    ) -> discovery::Ask {
        let binding = self.body.memory.binding.as_ref().map(|held| &held.value);
        discovery::Ask {
            pointer,
            bound: binding.map(|binding| binding.listed.clone()),
            pinned: self.body.memory.shown_metadata
                || binding.is_some_and(|binding| binding.class == Class::Resource),
            listing_only,
        }
    }

    fn enrolment(&self, flow: &Flow) -> Result<registration::Ask, Failure> {
        let found = flow.ground.found.as_ref().ok_or_else(missing)?;
        let server = &found.server;
        Ok(registration::Ask {
            issuer: server.issuer.clone(),
            endpoint: server.registration_endpoint.clone(),
            methods: server.methods,
            client_documents: server.client_documents,
            legacy: found.class == Class::Legacy,
            met: self.body.memory.met().cloned(),
            held: self.body.memory.clients.clone(),
            anew: flow.ground.reregistered,
            doubtful: self.body.memory.doubtful.clone(),
            redirect: flow.ground.redirect.clone(),
        })
    }

    fn visit(&self, flow: &Flow) -> Result<authorization::Ask, Failure> {
        let ground = &flow.ground;
        let found = ground.found.as_ref().ok_or_else(missing)?;
        let enrolled = ground.enrolled.as_ref().ok_or_else(missing)?;
        let server = &found.server;
        Ok(authorization::Ask {
            endpoint: server.authorization_endpoint.clone(),
            token_host: server.token_endpoint.host_str().into(),
            issuer: server.issuer.clone(),
            listed: found.listed.clone(),
            previous_issuer: ground.previous_issuer.clone(),
            iss_promised: server.iss_promised,
            legacy: found.class == Class::Legacy,
            client_id: enrolled.credentials.client_id.clone(),
            redirect_uri: enrolled.redirect.uri.clone(),
            listen: enrolled.redirect.listen.clone(),
            bound: flow.listener.is_some(),
            resource: self.resource(found),
            resource_parameter: self.resource_parameter(found),
            scopes: ground.scopes.clone(),
        })
    }

    /// The resource of keys and records: the metadata's own string, or the canonical MCP URL.
    fn resource(&self, found: &Found) -> Arc<str> {
        found.resource.clone().unwrap_or_else(|| Arc::clone(&self.config.name))
    }

    /// The resource as it is sent (RES-03, D8).
    fn resource_parameter(&self, found: &Found) -> Option<Arc<str>> {
        use crate::config::ResourceParameter::{Omitted, Replaced};
        let mut settings = self.config.settings(&found.listed, &found.server.issuer);
        match settings.find_map(|settings| settings.resource.as_ref()) {
            Some(Omitted) => None,
            Some(Replaced(other)) => Some(other.clone()),
            None => Some(self.resource(found)),
        }
    }

    /// Takes in what a stage brought home.
    fn absorb(&mut self, flow: &mut Flow, brought: Brought, now: &mut Now) -> Result<(), Failure> {
        let memory = &self.body.memory;
        let news = (flow.ground.logins, flow.ground.epoch) != (memory.logins, memory.epoch);
        if matches!(flow.goal, Goal::Refresh(_)) && news {
            self.overtaken(flow, &brought);
            return Ok(());
        }
        match brought {
            Brought::Recalled(found) => self.recalled(flow, found, now),
            Brought::Looked(Looked::StillListed) => flow.ground.relisted = true,
            Brought::Looked(Looked::Moved { to }) => {
                self.body.memory.moved = Some(now.mono);
                return Err(Failure::new(Kind::IssuerChanged, "BIND-05").with_subject(&to));
            }
            Brought::Looked(Looked::Found(found)) => return self.found(flow, found, now),
            Brought::Enrolled(enrolled) => self.enrolled(flow, enrolled),
            Brought::Approved(approved) => flow.ground.approved = Some(approved),
            Brought::Minted(Minted::Tokens(tokens)) => return self.minted(flow, &tokens, now),
            Brought::Minted(Minted::Refused(refusal)) => return self.refused(flow, *refusal, now),
            Brought::Saved(saved) => self.saved(flow, saved),
        }
        Ok(())
    }

    /// A login or a late answer has replaced the grant that a refresh was for. Whatever the refresh
    /// brings, a refusal included, is about a grant that is no longer held.
    fn overtaken(&mut self, flow: &mut Flow, brought: &Brought) {
        let ground = &mut flow.ground;
        ground.relisted = true;
        ground.looked = true;
        ground.adopted = true;
        ground.minted = None;
        ground.verdict = None;
        if let Brought::Saved(saved) = brought {
            // The older record may have been written over the newer one.
            for write in &saved.written {
                if let (Write::Grant(theirs, _), Some(held)) = (write, &mut self.body.memory.grant)
                    && theirs.value.key() == held.value.key()
                {
                    held.generation = held.generation.max(theirs.generation);
                }
            }
            self.body.memory.save_soon();
        }
    }

    fn recalled(&mut self, flow: &mut Flow, found: Recalled, now: &mut Now) {
        flow.ground.looked = true;
        match flow.goal {
            Goal::Recall => {
                self.body.memory.recall(found);
                self.body.memory.forget_what_was_found();
            }
            Goal::Forget => {
                self.body.memory.recall(found);
                self.body.memory.forget_what_was_found();
                flow.ground.minted = self.body.memory.to_forget.first().cloned();
            }
            _ => self.looked(flow, found, now),
        }
    }

    /// A look before a refresh, or after its refusal: only a record that is newer than ours is
    /// taken over (REF-06, HOST-224), and none before ours was ever written: what is there is older,
    /// whatever its number.
    fn looked(&mut self, flow: &mut Flow, found: Recalled, now: &mut Now) {
        let memory = &mut self.body.memory;
        let Some(ours) = &mut memory.grant else { return };
        let unwritten = memory.unsaved || ours.generation.is_none();
        let newer = found.grant.filter(|theirs| {
            let helps = flow.ground.refused && !theirs.value.rejected;
            theirs.generation > ours.generation && (!unwritten || helps)
        });
        let Some(theirs) = newer else {
            if flow.ground.refused {
                ours.value.rejected = true;
                now.note(Note::Rejected);
            }
            return;
        };
        let grant = &theirs.value;
        let renewed = grant.access_token != ours.value.access_token;
        let alive = grant.expires.is_none_or(|end| now.wall < end);
        let unspent = grant.refresh_token != ours.value.refresh_token;
        if grant.rejected {
            // Another process was told so, or has logged out: it is not sent once more (REF-08).
            let failure = || Failure::new(Kind::ReauthorizationRequired, "REF-08");
            flow.ground.refused = true;
            flow.ground.verdict.get_or_insert_with(failure);
        } else if renewed && alive && grant.access_token.is_some() {
            now.note(Note::Adopted);
            flow.ground.adopted = true;
            flow.ground.verdict = None;
        } else if unspent {
            flow.ground.refused = false;
            flow.ground.verdict = None;
        }
        memory.grant = Some(theirs);
    }

    /// The authorization server is known: whether it may be used at all, and what to ask it for.
    fn found(&mut self, flow: &mut Flow, found: Box<Found>, now: &mut Now) -> Result<(), Failure> {
        let Goal::Login(goal) = &flow.goal else { return Err(fault(now)) };
        if let Some(binding) = self.body.memory.binding.as_ref().map(|held| &held.value)
            && binding.listed != found.listed
        {
            self.moved(goal, binding, &found)?;
            now.note(Note::Chose(Choice::IssuerChanged {
                from: binding.listed.clone(),
                to: found.listed.clone(),
            }));
            flow.ground.previous_issuer = Some(binding.listed.clone());
        }
        let issuer = found.server.issuer.clone();
        if goal.cause == Cause::Refused {
            self.body.history.may_open(&issuer, now.mono)?;
        }
        let scopes = self.scopes(goal, &found, now)?;
        if goal.cause == Cause::StepUp {
            // The resource's own list was the last place where more scope could be named.
            let asked = self.body.memory.requested();
            if asked.is_some_and(|asked| asked.covers(&scopes)) {
                return Err(Failure::new(Kind::Forbidden, "STEP-07"));
            }
        }
        flow.ground.scopes = scopes;
        flow.ground.found = Some(found);
        Ok(())
    }

    /// The resource names another authorization server than the record (BIND-03, D14).
    fn moved(&self, goal: &LoginGoal, binding: &Binding, found: &Found) -> Result<(), Failure> {
        let changed = |rule| {
            Err(Failure::new(Kind::IssuerChanged, rule)
                .with_subject(&found.listed)
                .with_remedy(Remedy::AskUser))
        };
        if goal.cause == Cause::StepUp {
            return changed("HOST-251");
        }
        if self.config.strict() {
            return changed("D14");
        }
        let met = self.body.memory.met().map(|met| &**met);
        let elsewhere = self.config.client_for(&found.server.issuer, met).is_none();
        if binding.way == Way::PreRegistered && elsewhere {
            return changed("BIND-04");
        }
        Ok(())
    }

    fn scopes(&self, goal: &LoginGoal, found: &Found, now: &mut Now) -> Result<ScopeSet, Failure> {
        let config = &self.config;
        let grant = self.body.memory.grant.as_ref().map(|held| &held.value);
        let same = grant.filter(|grant| grant.issuer == found.server.issuer);
        let named = Named {
            wanted: &goal.wanted,
            configured: config.scopes.as_ref(),
            challenged: goal.challenged.as_ref(),
            resource: found.scopes_supported.as_ref(),
            default: config.default_scopes.as_ref(),
            before: [
                same.map(|grant| &grant.requested),
                // What a server added by itself is not asked for; where nobody had named anything,
                // its choice is all there is to keep (AMB-14, HOST-211).
                same.filter(|grant| grant.requested.is_empty())
                    .and_then(|grant| grant.granted.as_ref()),
            ],
            step_up: goal.cause == Cause::StepUp,
            offline_listed: found.server.scopes_offline_access,
            offline_wanted: config.refresh_tokens,
        };
        let (scopes, source, dropped) = scopes::choose(&named)?;
        if dropped {
            let (kind, subject) = (Kind::LimitExceeded, "offline_access".to_owned());
            now.note(Note::Dropped { kind, rule: "SCOPE-10", subject });
        }
        now.note(Note::Chose(Choice::Scopes { scopes: scopes.clone(), source }));
        Ok(scopes)
    }

    fn enrolled(&mut self, flow: &mut Flow, mut enrolled: Enrolled) {
        if let Some(client) = &mut enrolled.client {
            // One that replaces a registration we knew of is to replace it in the store too.
            if client.generation.is_none() {
                let key = client.value.key();
                let mut known = self.body.memory.clients.iter();
                let before = known.rfind(|held| held.value.key() == key);
                client.generation = before.and_then(|held| held.generation);
            }
            self.body.memory.remember_client(client.clone());
        }
        if enrolled.way == Way::PreRegistered && self.body.memory.met.is_none() {
            let found = flow.ground.found.as_ref();
            self.body.memory.met = found.map(|found| found.server.issuer.clone());
        }
        flow.ground.client_kept = false;
        flow.ground.redirect = Some(enrolled.redirect.clone());
        flow.ground.enrolled = Some(enrolled);
    }

    /// The grant of a login, but for the tokens (BIND-08).
    pub(super) fn login_template(&self, flow: &Flow) -> Option<Grant> {
        let ground = &flow.ground;
        let found = ground.found.as_ref()?;
        let enrolled = ground.enrolled.as_ref()?;
        Some(Grant {
            format: FORMAT,
            issuer: found.server.issuer.clone(),
            resource: self.resource(found),
            client_id: enrolled.credentials.client_id.clone(),
            account: Arc::clone(&self.config.account),
            access_token: None,
            refresh_token: None,
            expires: None,
            lifetime: None,
            requested: ground.scopes.clone(),
            granted: None,
            resource_parameter: self.resource_parameter(found),
            token_endpoint: found.server.token_endpoint.clone(),
            revocation_endpoint: found.server.revocation_endpoint.clone(),
            rejected: false,
            untyped: false,
            unknown: Unknown::default(),
        })
    }

    /// Tokens came. They are saved before anybody hears of them (REF-04).
    fn minted(&mut self, flow: &mut Flow, tokens: &Tokens, now: &mut Now) -> Result<(), Failure> {
        for note in &tokens.notes {
            let subject = note.subject().unwrap_or_default().to_owned();
            now.note(Note::Dropped { kind: note.kind(), rule: note.rule(), subject });
        }
        let login = matches!(flow.goal, Goal::Login(_));
        let (template, generation) = if login {
            let template = self.login_template(flow).ok_or_else(missing)?;
            // A login for the grant that is held, or was, replaces its record.
            let generation = self.body.memory.generation_for(&template);
            (template, generation)
        } else {
            flow.ground.over = self.body.memory.spending();
            let held = self.body.memory.grant.as_ref().ok_or_else(missing)?;
            (held.value.clone(), held.generation)
        };
        let grant = fill(template, tokens, login, now.wall);
        let named = grant.granted.clone().unwrap_or_else(|| grant.requested.clone());
        now.note(Note::Renewed {
            missing: grant.requested.without(&named),
            unasked: named.without(&grant.requested),
        });
        if !tokens.type_named {
            let issuer = grant.issuer.to_string();
            if !self.config.strict() {
                let switch = crate::failure::Switch::MissingTokenType;
                now.note(Note::Lenient { switch, subject: issuer });
            }
        }
        flow.ground.minted = Some(Held { value: grant, generation });
        Ok(())
    }

    /// The token endpoint refused. What that does to what is held (TOK-15, REF-08, REG-21).
    fn refused(
        &mut self,
        flow: &mut Flow,
        refusal: TokenRefusal,
        now: &mut Now,
    ) -> Result<(), Failure> {
        let TokenRefusal { failure, rescued, granted, error } = refusal;
        if let Some(tokens) = granted {
            // Strict will not use it, and nobody can ask for it again (D7).
            self.minted(flow, &tokens, now)?;
            flow.ground.verdict = Some(failure);
            return Ok(());
        }
        if matches!(flow.goal, Goal::Login(_)) {
            return self.exchange_refused(flow, failure, error, now);
        }
        let Some(held) = &mut self.body.memory.grant else { return Err(failure) };
        if let Some(rescued) = rescued {
            // The old refresh token is spent, and this one is all there will ever be (HOST-232).
            let mut saved = held.clone();
            saved.value.refresh_token = Some(rescued);
            saved.value.access_token = None;
            flow.ground.over = self.body.memory.spending();
            flow.ground.minted = Some(saved);
            flow.ground.verdict = Some(failure);
            return Ok(());
        }
        let client =
            matches!(error, Some(ErrorCode::InvalidClient | ErrorCode::UnauthorizedClient));
        if client {
            let (issuer, id) = (held.value.issuer.clone(), held.value.client_id.clone());
            self.body.memory.forget_client(&issuer, &id);
            return Err(failure);
        }
        let rejected =
            matches!(failure.kind(), Kind::GrantRejected | Kind::ReauthorizationRequired);
        if !rejected {
            return Err(failure);
        }
        flow.ground.verdict = Some(failure);
        flow.ground.refused = true;
        if self.config.persistent && !flow.ground.looked_again {
            // Another process may have spent it, and saved what it got (HOST-224).
            flow.ground.looked_again = true;
            flow.ground.looked = false;
        } else {
            held.value.rejected = true;
            now.note(Note::Rejected);
        }
        Ok(())
    }

    fn exchange_refused(
        &mut self,
        flow: &mut Flow,
        failure: Failure,
        error: Option<ErrorCode>,
        now: &mut Now,
    ) -> Result<(), Failure> {
        let client =
            matches!(error, Some(ErrorCode::InvalidClient | ErrorCode::UnauthorizedClient));
        let Some(enrolled) = &flow.ground.enrolled else { return Err(failure) };
        if !client || enrolled.way != Way::Dynamic {
            return Err(failure);
        }
        let issuer = flow.ground.found.as_ref().map(|found| found.server.issuer.clone());
        let id = enrolled.credentials.client_id.clone();
        if let Some(issuer) = issuer {
            self.body.memory.forget_client(&issuer, &id);
        }
        if flow.ground.reregistered {
            return Err(failure);
        }
        // The server has forgotten the registration: one new one, and the person once more.
        now.note(Note::Failed { kind: failure.kind(), rule: failure.rule() });
        flow.ground.reregistered = true;
        flow.ground.enrolled = None;
        flow.ground.approved = None;
        Ok(())
    }

    /// What a flow writes: what came, and the binding that leads to it.
    fn writes(&self, flow: &Flow) -> Vec<Write> {
        if let Goal::Keep(writes) = &flow.goal {
            return writes.clone();
        }
        let mut writes = Vec::with_capacity(2);
        match (&flow.ground.minted, &self.body.memory.grant) {
            (Some(minted), _) => {
                writes.push(Write::Grant(minted.clone(), flow.ground.over.clone()));
            }
            (None, Some(held)) => {
                let over = Over::Spent(held.value.refresh_token.clone());
                writes.push(Write::Grant(held.clone(), over));
            }
            (None, None) => {}
        }
        if matches!(flow.goal, Goal::Login(_)) {
            writes.extend(self.binding(flow).map(Write::Binding));
        }
        writes
    }

    /// The binding that a login makes.
    pub(super) fn binding(&self, flow: &Flow) -> Option<Held<Binding>> {
        let ground = &flow.ground;
        let found = ground.found.as_ref()?;
        let enrolled = ground.enrolled.as_ref()?;
        let before = self.body.memory.binding.as_ref();
        Some(Held {
            generation: before.and_then(|held| held.generation),
            value: Binding {
                format: FORMAT,
                mcp_url: Arc::clone(&self.config.name),
                account: Arc::clone(&self.config.account),
                class: found.class,
                listed: found.listed.clone(),
                issuer: found.server.issuer.clone(),
                resource: self.resource(found),
                client_id: enrolled.credentials.client_id.clone(),
                way: enrolled.way,
                method: enrolled.credentials.method,
                redirect_set: enrolled.redirect.set.clone(),
                unknown: before.map(|held| held.value.unknown.clone()).unwrap_or_default(),
            },
        })
    }

    fn saved(&mut self, flow: &mut Flow, saved: Saved) {
        // What a newer version has written is not ours to empty.
        let forgets = matches!(flow.goal, Goal::Forget);
        if saved.refused.is_some_and(|kind| !(forgets && kind == Kind::StoreVersion)) {
            flow.ground.unsaved = true;
        }
        if let Some(theirs) = saved.theirs {
            self.gave_way(flow, theirs);
        }
        for write in saved.written {
            match write {
                Write::Client(client) => {
                    // It is another one, if another process was faster.
                    if let Some(enrolled) = &mut flow.ground.enrolled {
                        enrolled.credentials = client.value.credentials.clone();
                        enrolled.client = Some(client.clone());
                    }
                    self.body.memory.remember_client(client);
                    flow.ground.client_kept = true;
                }
                Write::Grant(held, _) => {
                    flow.ground.kept = true;
                    match &mut flow.ground.minted {
                        Some(minted) => *minted = held,
                        None if matches!(flow.goal, Goal::Keep(_)) => {}
                        None => self.body.memory.grant = Some(held),
                    }
                }
                Write::Binding(held) => self.body.memory.binding = Some(held),
            }
        }
    }

    /// The record in the store is of a login or log-out of another process, so what a refresh
    /// brought was not written over it: it is taken over instead.
    fn gave_way(&mut self, flow: &mut Flow, theirs: Held<Grant>) {
        let ground = &mut flow.ground;
        let ours = ground.minted.take();
        ground.kept = true;
        let memory = &mut self.body.memory;
        if matches!(flow.goal, Goal::Keep(_)) {
            let same = |held: &Held<Grant>| ours.as_ref().is_some_and(|ours| alike(held, ours));
            if !memory.grant.as_ref().is_some_and(same) {
                return memory.save_soon();
            }
            memory.unsaved = false;
            ground.adopted = true;
        } else if theirs.value.rejected {
            let failure = || Failure::new(Kind::ReauthorizationRequired, "REF-08");
            ground.refused = true;
            ground.verdict.get_or_insert_with(failure);
        } else {
            ground.adopted = true;
            ground.verdict = None;
        }
        memory.unsaved = false;
        memory.grant = Some(theirs);
    }

    /// A flow is over. What it brought is published, its callers hear of it, its work is given up.
    pub(super) fn end(
        &mut self,
        lane: Lane,
        mut flow: Flow,
        result: Result<(), Failure>,
        now: &mut Now,
    ) {
        if let Some(listener) = flow.listener.take() {
            now.out.told.push(Told::Abandon(listener));
        }
        if result.is_err() {
            self.give_up_unfinished(&mut flow, now);
        }
        let result = result.and_then(|()| {
            self.install(&mut flow, now);
            flow.ground.verdict.take().map_or(Ok(()), Err)
        });
        let page = match &result {
            Ok(()) => Page::Authorized,
            Err(failure) if failure.kind() == Kind::AuthorizationDenied => Page::Denied,
            Err(failure) => Page::Failed(failure.kind()),
        };
        for arrival in flow.arrivals.drain(..) {
            now.out.told.push(Told::Page { arrival, page });
        }
        if let Err(failure) = &result {
            self.doubt(&flow, failure, now);
        }
        self.remember_visit(&flow, &result);
        if result.is_ok() && matches!(flow.goal, Goal::Relist) {
            self.still_refused(now);
        }
        if result.is_ok() && lane == Lane::Person {
            let joined = |waiting: &&mut Waiting| waiting.lane == Some(Lane::Person);
            for waiting in self.waiters.iter_mut().filter(joined) {
                waiting.want.logins = waiting.want.logins.saturating_add(1);
            }
        }
        if let Err(failure) = result {
            now.note(Note::Failed { kind: failure.kind(), rule: failure.rule() });
            let failure = failure.with_evidence(core::mem::take(&mut flow.evidence));
            self.fail(lane, &flow, failure, now);
        }
    }

    /// Work that is still out when a flow ends is nobody's any more.
    fn give_up_unfinished(&mut self, flow: &mut Flow, now: &mut Now) {
        if let Some(parking) = flow.parking.take()
            && let Some(ticket) = parking.ticket
        {
            now.out.told.push(Told::Abandon(ticket));
        }
    }

    /// Publishes what a flow brought.
    fn install(&mut self, flow: &mut Flow, now: &mut Now) {
        let config = Arc::clone(&self.config);
        if matches!(flow.goal, Goal::Recall) {
            let usable = self
                .body
                .memory
                .grant
                .as_ref()
                .is_some_and(|held| held.value.access_token.is_some() && !held.value.rejected);
            if usable && self.body.memory.credentials(&config, now.wall).is_some() {
                self.publish(now);
                // What was read did not come for those who waited: if it is over, it is renewed.
                let current = self.body.memory.current();
                self.waiters.iter_mut().for_each(|waiting| waiting.want.since = current);
            }
            return;
        }
        let refreshed = matches!(flow.goal, Goal::Refresh(_));
        let Some(mut minted) = flow.ground.minted.take() else {
            if flow.ground.adopted && self.body.memory.unpublished() {
                self.publish(now);
            }
            return;
        };
        match flow.goal {
            Goal::Forget if flow.ground.unsaved => return,
            Goal::Forget => return self.body.memory.forgot(minted),
            Goal::Keep(_) => return self.kept(minted, flow.ground.unsaved, now),
            Goal::Login(_) => self.body.memory.logged_in(),
            _ => {}
        }
        if matches!(flow.goal, Goal::Login(_)) && !config.persistent {
            self.body.memory.binding = self.binding(flow);
        }
        let overwritten = matches!(flow.goal, Goal::Login(_)) && self.catch_up(&mut minted, now);
        let has_token = minted.value.access_token.is_some();
        self.body.memory.grant = Some(minted);
        self.body.memory.over = core::mem::take(&mut flow.ground.over);
        self.body.memory.minted = Some(now.mono);
        self.body.memory.set_unsaved(flow.ground.unsaved, now.mono);
        if overwritten && config.persistent {
            self.body.memory.save_soon();
        }
        if refreshed {
            self.body.memory.refreshed = Some(now.mono);
        }
        if has_token && self.body.memory.brought_back() {
            // Under a new epoch its callers would go round for ever.
            flow.ground.verdict.get_or_insert_with(unhelped);
        } else if has_token {
            self.publish(now);
        }
    }

    /// A login takes the place of what the other lane has written meanwhile, a refreshed grant or an
    /// emptied one. Answers whether it must be written once more.
    fn catch_up(&mut self, minted: &mut Held<Grant>, now: &mut Now) -> bool {
        let key = minted.value.key();
        let known = self.body.memory.generation_for(&minted.value);
        let mut overwritten = known > minted.generation;
        minted.generation = minted.generation.max(known);
        // What was to be emptied is this record now.
        self.body.memory.to_forget.retain(|held| held.value.key() != key);
        let empties = |flow: &mut Flow| {
            let emptied = flow.ground.minted.as_ref();
            matches!(flow.goal, Goal::Forget) && emptied.is_some_and(|held| held.value.key() == key)
        };
        if let Some(mut flow) = self.body.machine.take_if(empties) {
            self.give_up_unfinished(&mut flow, now);
            overwritten = true;
        }
        overwritten
    }

    /// A grant that came outside a flow is written now. It counts only if it is still the one that
    /// is held.
    fn kept(&mut self, minted: Held<Grant>, unsaved: bool, now: &mut Now) {
        let memory = &mut self.body.memory;
        match &mut memory.grant {
            Some(held) if alike(held, &minted) => {}
            // The older record may have been written over the newer one.
            Some(held) => {
                if held.value.key() == minted.value.key() {
                    held.generation = held.generation.max(minted.generation);
                }
                return memory.save_soon();
            }
            None => return,
        }
        memory.grant = Some(minted);
        memory.set_unsaved(unsaved, now.mono);
        if memory.unpublished() {
            self.publish(now);
        }
    }

    /// Writes a grant that came outside a flow, and the binding that leads to it.
    pub(super) fn keep(
        &mut self,
        held: Held<Grant>,
        over: Over,
        binding: Option<Held<Binding>>,
        now: &mut Now,
    ) {
        let mut writes = vec![Write::Grant(held.clone(), over)];
        writes.extend(binding.map(Write::Binding));
        let mut flow = Flow::new(Goal::Keep(writes));
        flow.ground.minted = Some(held);
        self.launch(Lane::Machine, flow, now);
    }

    fn publish(&mut self, now: &mut Now) {
        self.body.memory.publish(&self.config, now.wall, now.mono);
        self.body.memory.ahead_after = None;
        let published = self.body.memory.published.clone();
        now.out.told.push(Told::Publish(published));
    }

    /// Counts a page that is about to be shown, for the limits.
    fn count_visit(&mut self, flow: &Flow, visit: &authorization::Ask, now: &Now) {
        let Goal::Login(goal) = &flow.goal else { return };
        let history = &mut self.body.history;
        match goal.cause {
            Cause::Asked => {}
            Cause::Refused => history.opened(&visit.issuer, now.mono),
            Cause::StepUp => history.step_up_begins(&goal.operation, &visit.scopes, now.mono),
        }
    }

    /// Writes down how a visit to the person has ended.
    fn remember_visit(&mut self, flow: &Flow, result: &Result<(), Failure>) {
        if let Goal::Login(LoginGoal { cause: Cause::StepUp, operation, .. }) = &flow.goal {
            let declined = result.as_ref().is_err_and(declined);
            self.body.history.step_up_ends(operation, result.is_ok(), declined);
        }
    }

    /// The issuer is still listed, so nothing explains why a fresh token was refused.
    fn still_refused(&mut self, now: &mut Now) {
        let (again, rest) = core::mem::take(&mut self.waiters)
            .into_iter()
            .partition(|waiting: &Waiting| waiting.want.again);
        self.waiters = rest;
        for waiting in again {
            self.refuse(waiting.id, unhelped(), now);
        }
    }

    /// A registration of an earlier run to which no page answers may be one that the server has
    /// forgotten: such a server shows an error page and sends nobody back. The next login makes a
    /// new one, unless a grant still lives by the old.
    fn doubt(&mut self, flow: &Flow, failure: &Failure, now: &Now) {
        let Some(enrolled) = &flow.ground.enrolled else { return };
        let told = failure.said().is_some_and(|said| said.error == "unauthorized_client");
        let silent = failure.kind() == Kind::CallbackTimeout;
        let memory = &self.body.memory;
        let needed = memory.refreshable(&self.config, now.wall, now.mono);
        if enrolled.way == Way::Dynamic && !enrolled.fresh && !needed && (told || silent) {
            self.body.memory.doubtful = Some(enrolled.credentials.client_id.clone());
        }
    }

    /// Settles those who waited for a flow that failed.
    fn fail(&mut self, lane: Lane, flow: &Flow, failure: Failure, now: &mut Now) {
        let refresh = matches!(flow.goal, Goal::Refresh(_));
        if refresh {
            self.body.memory.refreshed = Some(now.mono);
            self.body.memory.postpone_ahead(now.mono);
        }
        // What a person can mend is put to those who may ask one; nobody else gets a page for a
        // network that is down (REF-09).
        let relist = matches!(flow.goal, Goal::Relist);
        let mendable = (refresh || relist)
            && matches!(
                failure.kind(),
                Kind::GrantRejected
                    | Kind::ReauthorizationRequired
                    | Kind::ClientRejected
                    | Kind::IssuerChanged
            )
            // Where the same refresh could be sent again, they would wait for it for ever: a
            // client of the configuration that is refused cannot be made anew.
            && !self.body.memory.refreshable(&self.config, now.wall, now.mono);
        let failure = step_up_declined(flow, failure);
        let failure = Arc::new(failure);
        let memory = &self.body.memory;
        let live = memory
            .published
            .as_ref()
            .filter(|granted| refresh && !granted.life().over(now.wall, now.mono));
        let mut rest = Vec::with_capacity(self.waiters.len());
        for mut waiting in self.waiters.drain(..) {
            if waiting.lane != Some(lane)
                || (mendable && waiting.want.may_ask)
                || !serves(flow, &waiting.want)
            {
                waiting.want.again &= !mendable;
                rest.push(waiting);
                continue;
            }
            let over = waiting.want.over;
            let outcome = match live {
                Some(granted) if over.is_none_or(|over| granted.epoch() > over) => {
                    Ok(Arc::clone(granted))
                }
                // Why the list could not be read is not why the request was refused.
                _ if relist && !mendable => Err(Arc::new(unhelped())),
                _ if mendable && failure.kind() != Kind::IssuerChanged => {
                    Err(Arc::new(reauthorize(&failure)))
                }
                _ => Err(Arc::clone(&failure)),
            };
            let unsaved = memory.unsaved;
            now.out.told.push(Told::Settle(Settlement { waiter: waiting.id, outcome, unsaved }));
        }
        self.waiters = rest;
    }

    /// Whether a grant that is held is newer than what the answer to this request could bring. A
    /// login stands beside whatever refreshes were made of the grant before it.
    pub(super) fn passed(&self, late: &Late) -> bool {
        let memory = &self.body.memory;
        let login = late.purpose == crate::effect::Purpose::CodeExchange;
        memory.logins != late.logins || (!login && memory.epoch > late.epoch)
    }

    /// What a late answer brought: the grant as it is from now on.
    pub(super) fn came_late(&self, late: &Late, signal: &Signal, now: &Now) -> Option<Grant> {
        let Signal::Reply(Reply::Answered(response)) = signal else { return None };
        let login = late.purpose == crate::effect::Purpose::CodeExchange;
        let rules =
            TokenRules { strict: self.config.strict(), code: login, now: now.wall, sent: &[] };
        let template = late.template.clone();
        let refusal = match read_tokens(response, &rules) {
            Ok(tokens) => return Some(fill(template, &tokens, login, now.wall)),
            Err(refusal) => refusal,
        };
        match (refusal.granted, refusal.rescued) {
            // Strict will not use it, and nobody can ask for it again (D7).
            (Some(tokens), _) => Some(fill(template, &tokens, login, now.wall)),
            // The old refresh token is spent, and this one is all there will ever be (HOST-232).
            (None, rescued @ Some(_)) if !login => {
                Some(Grant { refresh_token: rescued, access_token: None, ..template })
            }
            _ => None,
        }
    }

    /// A late answer to a token request that was given up: its tokens are the newest there are.
    pub(super) fn adopt_late(&mut self, late: Late, signal: &Signal, now: &mut Now) -> bool {
        if self.passed(&late) {
            return false;
        }
        let Some(grant) = self.came_late(&late, signal, now) else { return false };
        let memory = &mut self.body.memory;
        let over = if late.purpose == crate::effect::Purpose::CodeExchange {
            Over::Anything
        } else {
            memory.spending()
        };
        let mut held = Held { generation: memory.generation_for(&grant), value: grant };
        if late.binding.is_some() {
            memory.binding.clone_from(&late.binding);
            memory.logged_in();
            self.catch_up(&mut held, now);
        }
        let memory = &mut self.body.memory;
        let has_token = held.value.access_token.is_some();
        memory.grant = Some(held.clone());
        memory.over = over.clone();
        // As any other rotation: stored first, if the store is free to be asked (REF-04).
        if self.config.persistent && self.body.machine.is_none() {
            self.keep(held, over, late.binding, now);
        } else {
            memory.unsaved = self.config.persistent;
            if has_token {
                self.publish(now);
            }
        }
        true
    }
}

/// Whether two grants hold the same tokens.
fn alike(held: &Held<Grant>, other: &Held<Grant>) -> bool {
    held.value.access_token == other.value.access_token
        && held.value.refresh_token == other.value.refresh_token
}

/// A refused refresh, as a caller hears it who may not ask a person.
fn reauthorize(failure: &Failure) -> Failure {
    if failure.kind() == Kind::ClientRejected {
        return failure.clone();
    }
    Failure::new(Kind::ReauthorizationRequired, "REF-08").with_evidence(failure.evidence().to_vec())
}

/// Whether a login was for this caller too. Whoever joined a page that was for other scopes is not
/// settled with its refusal.
fn serves(flow: &Flow, want: &Want) -> bool {
    let Goal::Login(goal) = &flow.goal else { return true };
    let found = flow.ground.found.is_some();
    (goal.cause == want.cause || goal.cause != Cause::StepUp)
        && (!found || flow.ground.scopes.covers(&want.scopes))
}

/// A step-up that a person refused is the refusal of that request only (HOST-249).
fn step_up_declined(flow: &Flow, failure: Failure) -> Failure {
    let step_up = matches!(&flow.goal, Goal::Login(goal) if goal.cause == Cause::StepUp);
    if step_up && declined(&failure) {
        return Failure::new(Kind::StepUpDeclined, "STEP-06")
            .with_evidence(failure.evidence().to_vec());
    }
    failure
}

/// Whether it was the person who said no, not the server for a reason of its own (STEP-15).
fn declined(failure: &Failure) -> bool {
    failure.kind() == Kind::AuthorizationDenied
        && failure.said().is_some_and(|said| said.error == "access_denied")
}

/// A flow came to a step whose ground it had not laid: a bug of ours.
fn fault(now: &mut Now) -> Failure {
    now.note(Note::Fault(Fault::MissingGround));
    missing()
}

fn missing() -> Failure {
    Failure::new(Kind::Transient, "STEP-16")
}
