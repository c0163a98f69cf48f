//! The embedded server: the model, set up as the command line wants it.

use super::options::{Embedded, Options, Target};
use crate::model::{AuthMethod, Consent, Preregistered, RegistrationMode, Settings};

impl Options {
    /// What the embedded server is told to be; `None` if a real server is used.
    #[must_use]
    pub fn settings(&self) -> Option<Settings> {
        let Target::Embedded(Embedded { revision, registration }) = &self.target else { return None };
        let mut settings = revision.as_deref().map_or_else(Settings::default, Settings::revision);
        let redirect = self.redirect.as_deref().unwrap_or("http://127.0.0.1/callback");
        let redirect_uris = vec![redirect.to_owned()];
        for server in settings.servers_mut() {
            // A page with a form is what a person meets; the headless one has to fill it in, too.
            server.consent = Consent::Form;
            if !registration {
                server.registration.mode = RegistrationMode::Closed;
            }
            if self.client_document.is_some() {
                server.client_documents.supported = true;
                server.client_documents.redirect_uris.clone_from(&redirect_uris);
            }
            server.clients.extend(self.known_client().map(|client_id| Preregistered {
                client_id: client_id.to_owned(),
                secret: self.client_secret.as_ref().map(|secret| secret.expose().to_owned()),
                method: if self.client_secret.is_some() { AuthMethod::Basic } else { AuthMethod::None },
                redirect_uris: redirect_uris.clone(),
                grant_types: server.grant_types.clone(),
            }));
        }
        Some(settings)
    }
}
