//! [`AuthorizationSession`]: one login, step by step.

use core::fmt;
use std::sync::Arc;

use mcp_authz_core::effect::Visit;
use mcp_authz_core::granted::Granted;
use mcp_authz_core::input::Callback;

use super::login::{Login, News, granted};
use super::{AuthorizationManager, setup};
use crate::authorize::AuthorizeError;
use crate::error::DriveError;
use crate::faces::faces;
use crate::loops::Loop;

/// One login, step by step, for programs that show the page and receive the callback themselves.
/// Dropping it gives the login up.
pub struct AuthorizationSession<S: Loop> {
    manager: AuthorizationManager<S>,
    login: Login<S>,
}

impl<S: Loop> AuthorizationSession<S> {
    /// The page that the person has to visit now; `None` if there is a usable grant already. It is
    /// another one after [`AuthorizeError::OneMoreStep`].
    #[must_use]
    pub fn get_authorization_url(&self) -> Option<&str> {
        self.visit().map(Visit::url)
    }

    /// The page with what to tell the person beside it: who asks, for what, and whom.
    #[must_use]
    pub fn visit(&self) -> Option<&Visit> {
        self.login.pages.last()
    }

    /// The grant, once there is one.
    #[must_use]
    pub fn credentials(&self) -> Option<Arc<Granted>> {
        self.login.session.granted()
    }

    /// The manager, to make clients and transports of.
    #[must_use]
    pub const fn manager(&self) -> &AuthorizationManager<S> {
        &self.manager
    }
}

faces! { AuthorizationSession {
    /// Discovers, registers and makes the authorization request for these scopes (none for those that
    /// the server names), with a redirect URI that the program serves itself. With a usable grant
    /// nothing of this happens; see [`AuthorizationSession::credentials`].
    ///
    /// The manager uses that URI from now on: a later login, of its own person too, comes back there,
    /// so go on serving it and hand what arrives to its session's `deliver`.
    ///
    /// # Errors
    /// [`AuthorizeError`]: the failure says what was asked, what was answered, and what to do.
    fn new [manager: AuthorizationManager] (
        scopes: &[&str],
        redirect_uri: &str,
    ) -> Result<Self, AuthorizeError> {
        begin(manager, scopes, redirect_uri)
    }

    /// Takes what reached the redirect URI, or what the person pasted: the redirected URL, its query,
    /// or, weaker, a code alone (D11). Exchanges the code, and waits until the tokens are saved.
    ///
    /// # Errors
    /// [`AuthorizeError`]: this callback was refused and the login waits for another (`state_mismatch`,
    /// `iss_mismatch` and the like), or the login has failed; the failure says what to do. With
    /// [`AuthorizeError::OneMoreStep`] the login goes on with the page in it. After the end of this
    /// login it is that of a later one of the manager, which uses the same redirect URI.
    fn handle_callback(
        &self,
        callback: impl Into<Callback>,
    ) -> Result<Arc<Granted>, AuthorizeError> {
        deliver(self, callback.into())
    }

    /// Waits for the outcome of a login whose callback is handed in elsewhere.
    ///
    /// # Errors
    /// [`AuthorizeError`]: the failure says why there is no grant and what to do. With
    /// [`AuthorizeError::OneMoreStep`] the login goes on with a page that nobody was given yet: show
    /// it, and wait once more.
    fn wait(&self) -> Result<Arc<Granted>, AuthorizeError> {
        wait(self)
    }
}}

async fn begin<S: Loop>(
    manager: AuthorizationManager<S>,
    scopes: &[&str],
    redirect_uri: &str,
) -> Result<AuthorizationSession<S>, AuthorizeError> {
    let scopes = setup::scopes(scopes)?;
    let current = manager
        .session_for(redirect_uri)
        .map_err(|failure| AuthorizeError::Failed(Arc::new(failure)))?;
    let login = Login::begin(&current.session, &current.hub, scopes)?;
    if let News::Settled(settlement) = login.next().await {
        granted(settlement)?;
    }
    Ok(AuthorizationSession { manager, login })
}

async fn deliver<S: Loop>(
    this: &AuthorizationSession<S>,
    callback: Callback,
) -> Result<Arc<Granted>, AuthorizeError> {
    let session = &this.login.session;
    let over = this.login.is_over();
    let told = match session.shared().deliver(callback).await {
        Ok(page) => {
            let next = if over { session.visit() } else { this.visit().cloned() };
            setup::told(page, over, this.credentials(), next)
        }
        // No page is shown once the login is over; how it ended is known.
        Err(DriveError::Stalled) => None,
        Err(error) => return Err(error.into()),
    };
    match told {
        Some(told) => told,
        None => wait(this).await,
    }
}

async fn wait<S: Loop>(this: &AuthorizationSession<S>) -> Result<Arc<Granted>, AuthorizeError> {
    this.login.session.shared().kept().may_wait()?;
    match this.login.next().await {
        News::Settled(settlement) => granted(settlement),
        News::Page(visit) => Err(AuthorizeError::OneMoreStep(Box::new(visit.clone()))),
    }
}

impl<S: Loop> fmt::Debug for AuthorizationSession<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pages = &self.login.pages;
        f.debug_struct("AuthorizationSession").field("visit", pages).finish_non_exhaustive()
    }
}
