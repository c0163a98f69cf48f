//! The calls of a session, written once for both loops: tokens, and the callers' own requests.

use core::time::Duration;
use std::sync::Arc;

use bytes::Bytes;
use http::response::Parts;
use http::{HeaderMap, Method, StatusCode, Uri};
use mcp_authz_core::effect::{Forgotten, Limits, Settlement, Why};
use mcp_authz_core::granted::Granted;
use mcp_authz_core::input::{Acquire, Challenge, Input, Refusal};
use mcp_authz_core::scope::ScopeSet;

use crate::authorize::{AuthorizeError, Authorized, Seen};
use crate::error::DriveError;
use crate::exchange::{Exchange, ExchangeError, answered};
use crate::loops::{Driven as _, Loop};
use crate::ports::{Answer, AsyncBody};
use crate::publish::at_once;
use crate::reading::{Incoming, Reading, Streamed};

pub(super) async fn acquire<S: Loop>(
    shared: &Arc<S>,
    scopes: &ScopeSet,
    may_ask: bool,
) -> Result<Settlement, DriveError> {
    let kept = shared.kept();
    if let Some((granted, nudge)) = kept.published.live(scopes, kept.clock()) {
        if nudge {
            // Without random bytes no refresh begins, and the token is as live as before.
            let _or_not_yet = shared.offer(|_| Input::Wake);
        }
        return Ok(at_once(granted));
    }
    let waiter = kept.waiter();
    let scopes = scopes.clone();
    shared.wait(waiter, Input::Acquire(Acquire { waiter, scopes, may_ask })).await
}

pub(super) async fn log_in<S: Loop>(
    shared: &Arc<S>,
    scopes: &ScopeSet,
) -> Result<Settlement, DriveError> {
    let kept = shared.kept();
    if kept.published.live(scopes, kept.clock()).is_some() {
        return acquire(shared, scopes, true).await;
    }
    let waiter = kept.waiter();
    let acquire = Acquire { waiter, scopes: scopes.clone(), may_ask: true };
    shared.wait(waiter, Input::LogIn(acquire)).await
}

pub(super) async fn challenge<S: Loop>(
    shared: &Arc<S>,
    refusal: Refusal,
) -> Result<Settlement, DriveError> {
    let waiter = shared.kept().waiter();
    shared.wait(waiter, Input::Challenge(Challenge { waiter, refusal })).await
}

/// Nearly every request: there is a fresh token and its area covers the URL. Nothing of what
/// [`authorize`] may have to wait for is set aside for it.
#[inline]
pub(super) fn at_hand<S: Loop>(shared: &Arc<S>, uri: &Uri) -> Option<Arc<Granted>> {
    let kept = shared.kept();
    let granted = kept.published.fresh(kept.clock())?;
    granted.covers(uri).then_some(granted)
}

pub(super) async fn authorize<S: Loop>(
    shared: &Arc<S>,
    method: &Method,
    uri: &Uri,
    announced: bool,
) -> Result<Authorized, AuthorizeError> {
    let kept = shared.kept();
    let granted = acquire(shared, &ScopeSet::empty(), false).await?;
    Authorized::new(&kept.config, Authorized::grant(granted.outcome)?, method, uri, announced)
}

pub(super) async fn seen<S: Loop>(
    shared: &Arc<S>,
    sent: &Authorized,
    status: StatusCode,
    headers: &HeaderMap,
) -> Result<Seen, AuthorizeError> {
    let kept = shared.kept();
    match sent.verdict(status, headers, &kept.published)? {
        Some(refusal) => sent.healed(&kept.config, challenge(shared, refusal).await?),
        None => Ok(Seen::Final),
    }
}

/// Sends through the session's own port, or through another one.
pub(crate) async fn exchange<S: Loop>(
    shared: &Arc<S>,
    http: Option<&S::Http>,
    exchange: Exchange,
) -> Result<Answer, ExchangeError> {
    exchange_until(shared, http, exchange, &mut |_, _| false).await
}

pub(super) async fn exchange_until<S: Loop>(
    shared: &Arc<S>,
    http: Option<&S::Http>,
    exchange: Exchange,
    enough: &mut (dyn FnMut(&Parts, &[u8]) -> bool + Send),
) -> Result<Answer, ExchangeError> {
    let (answer, reading) = opened(shared, http, &exchange).await?;
    answered(reading.rest(answer.map(Waited::<S>), enough).await)
}

pub(crate) async fn open<S: Loop>(
    shared: &Arc<S>,
    http: Option<&S::Http>,
    exchange: Exchange,
) -> Result<Streamed<S::Body>, ExchangeError> {
    opened(shared, http, &exchange).await.map(|(answer, _)| answer)
}

async fn opened<'a, S: Loop>(
    shared: &'a Arc<S>,
    http: Option<&S::Http>,
    exchange: &Exchange,
) -> Result<(Streamed<S::Body>, Reading<'a>), ExchangeError> {
    exchange.check()?;
    let clock = shared.kept().clock();
    let asked = exchange.asked();
    let sent = authorize(shared, asked.method(), asked.uri(), exchange.is_announced()).await?;
    let mut sent = exchange.describe(sent);
    let http = http.unwrap_or(&shared.kept().ports.http);
    let limits = exchange.within().clone();
    let limits = Limits { proxy: limits.proxy && shared.kept().config.may_use_proxy(), ..limits };
    loop {
        let reading = Reading::new(clock, exchange.within());
        let opened = S::open(http, exchange.request(&sent), &limits).await;
        let lost = |lost| ExchangeError::lost(lost, S::proxy(http, exchange.asked().uri()));
        let answer = opened.map_err(lost)?.map(Incoming::open);
        #[cfg(feature = "transport")]
        let answer = exchange.noted(&sent, answer);
        if !sent.concerned(answer.status(), answer.headers()) {
            sent.verdict(answer.status(), answer.headers(), &shared.kept().published)?;
            return Ok((answer, reading));
        }
        // Read at once: what a person makes of it may take minutes.
        let answer = reading.refusal(answer.map(Waited::<S>)).await;
        sent = match seen(shared, &sent, answer.status(), answer.headers()).await {
            Ok(Seen::Again(again)) => again,
            Ok(Seen::Final) => {
                let reading = Reading::new(clock, exchange.within());
                return Ok((answer.map(Incoming::whole), reading));
            }
            Err(error) => return Err(ExchangeError::after(answer, error)),
        };
    }
}

pub(crate) async fn forget<S: Loop>(shared: &Arc<S>) -> Result<Forgotten, DriveError> {
    shared.kept().may_wait()?;
    #[cfg(feature = "transport")]
    shared.kept().memory.farewell();
    shared.log_out().await
}

/// The body of a loop's answer. For threads it is waited for where it is polled.
pub(crate) struct Waited<S: Loop>(pub(crate) Incoming<S::Body>);

impl<S: Loop> AsyncBody for Waited<S> {
    async fn piece(&mut self, within: Duration) -> Result<Option<Bytes>, Why> {
        S::piece(&mut self.0, within).await
    }
}
