//! The switches that weaken a check (design decisions D1 to D15).

use super::ResourceParameter;
use super::builder::ConfigBuilder;

/// The switches that weaken a check, each bound to one issuer or host. `Strict` refuses them, except
/// for the one that is there for it: [`Danger::allow_strict_proxy`].
#[derive(Clone, Debug)]
pub struct Danger(ConfigBuilder);

impl ConfigBuilder {
    /// The switches that weaken a check, gathered in one place.
    #[must_use]
    pub fn danger(self) -> Danger {
        Danger(self)
    }
}

impl Danger {
    /// D1: this issuer need not list PKCE methods; S256 is sent all the same.
    #[must_use]
    pub fn allow_unlisted_pkce(mut self, issuer: &str) -> Self {
        self.0.at_issuer(issuer, |at| at.pkce_unlisted = true);
        self
    }

    /// D5: this issuer's endpoints may be on unrelated hosts.
    #[must_use]
    pub fn allow_split_endpoints(mut self, issuer: &str) -> Self {
        self.0.at_issuer(issuer, |at| at.split_endpoints = true);
        self
    }

    /// D13: the listed issuer may publish exactly this other issuer in its document (BIND-12).
    #[must_use]
    pub fn pin_issuer(mut self, listed: &str, document: &str) -> Self {
        self.0.at_issuer(listed, |at| at.pin = Some(document.into()));
        self
    }

    /// D8: the `resource` parameter is left out at this issuer.
    #[must_use]
    pub fn omit_resource(mut self, issuer: &str) -> Self {
        self.0.at_issuer(issuer, |at| at.resource = Some(ResourceParameter::Omitted));
        self
    }

    /// D8: the `resource` parameter is this one at this issuer.
    #[must_use]
    pub fn replace_resource(mut self, issuer: &str, resource: &str) -> Self {
        self.0.at_issuer(issuer, |at| {
            at.resource = Some(ResourceParameter::Replaced(resource.into()))
        });
        self
    }

    /// D6: plain http is allowed to this host.
    #[must_use]
    pub fn allow_plain_http(mut self, host: &str) -> Self {
        self.0.plain_http.push(host.into());
        self
    }

    /// D6: private addresses are allowed for this host; link-local ones stay refused.
    #[must_use]
    pub fn allow_private_address(mut self, host: &str) -> Self {
        self.0.private_hosts.push(host.into());
        self
    }

    /// NAT-04: redirect URIs with a private-use scheme are allowed.
    #[must_use]
    pub const fn allow_private_scheme(mut self) -> Self {
        self.0.private_scheme = true;
        self
    }

    /// HOST-288: refresh although the credential store cannot be locked. Two processes that refresh
    /// at the same moment may then lose the grant.
    #[must_use]
    pub const fn allow_unlocked_refresh(mut self) -> Self {
        self.0.unlocked_refresh = true;
        self
    }

    /// SEC-07: the requests of a Strict session may go through a proxy, which looks names up itself.
    /// Literal addresses and special names are still judged here. Other profiles need no switch.
    #[must_use]
    pub const fn allow_strict_proxy(mut self) -> Self {
        self.0.strict_proxy = true;
        self
    }

    /// Sets what Microsoft Entra needs: no `resource`, no PKCE list, and the scopes once more in
    /// each refresh.
    #[must_use]
    pub fn entra(mut self, issuer: &str) -> Self {
        self.0.at_issuer(issuer, |at| at.scope_on_refresh = true);
        self.omit_resource(issuer).allow_unlisted_pkce(issuer)
    }

    /// Sets what Amazon Cognito needs: its document names the user pool, whatever the resource
    /// lists, and no PKCE methods.
    #[must_use]
    pub fn cognito(self, listed: &str, document: &str) -> Self {
        self.pin_issuer(listed, document).allow_unlisted_pkce(document)
    }

    /// Goes back to the ordinary settings.
    #[must_use]
    pub fn done(self) -> ConfigBuilder {
        self.0
    }
}
