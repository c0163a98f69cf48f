//! The texts that records of one session have in common: issuer, client and account.

use std::sync::Arc;

use super::{Binding, Client, Grant};

impl Binding {
    /// Shares each text of the record.
    pub(crate) fn each_text(&mut self, share: impl FnMut(&mut Arc<str>)) {
        let Self { mcp_url, account, listed, issuer, resource, client_id, redirect_set, .. } = self;
        let texts = [mcp_url, account, issuer, listed, resource, client_id, redirect_set];
        texts.into_iter().for_each(share);
    }
}

impl Client {
    /// Shares each text of the record.
    pub(crate) fn each_text(&mut self, share: impl FnMut(&mut Arc<str>)) {
        let Self { issuer, redirect_set, credentials, .. } = self;
        [issuer, redirect_set, &mut credentials.client_id].into_iter().for_each(share);
    }
}

impl Grant {
    /// Shares each text of the grant. The scopes that were asked for are often those that were
    /// granted.
    pub(crate) fn each_text(&mut self, share: impl FnMut(&mut Arc<str>)) {
        let Self { issuer, resource, client_id, account, resource_parameter, .. } = self;
        let texts = [issuer, resource, client_id, account];
        texts.into_iter().chain(resource_parameter).for_each(share);
        if self.granted.as_ref() == Some(&self.requested) {
            self.granted = Some(Arc::clone(&self.requested));
        }
    }
}
