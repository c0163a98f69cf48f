//! One TLS configuration for every adapter: rustls with ring, passed explicitly, so that nothing a
//! program installs for the whole process changes it. TLS 1.2 and later, and no way to switch
//! verification off (SEC-12).

use std::sync::Arc;

use mcp_authz_core::failure::{Failure, Kind};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

pub use rustls::pki_types::CertificateDer;

/// Which certificate authorities are trusted.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub enum Roots {
    /// Mozilla's list, as compiled in.
    #[default]
    Compiled,
    /// These and no others: a company's own authority, or a test's.
    Only(Arc<[CertificateDer<'static>]>),
    /// The operating system's, which on a desktop knows what its owner or a company has installed.
    #[cfg(feature = "platform-verifier")]
    Platform,
    /// Others, and these beside them.
    Added(Box<Self>, Arc<[CertificateDer<'static>]>),
}

/// No certificate could be read, or none of them can be a root.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RootsUnusable;

impl core::fmt::Display for RootsUnusable {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("no usable root certificate")
    }
}

impl core::error::Error for RootsUnusable {}

crate::diagnosed!(RootsUnusable, this => Arc::new(
    Failure::new(Kind::ConfigInvalid, "SEC-12").with_hint(&this.to_string()),
));

impl Roots {
    /// The certificates of a PEM file and no others.
    ///
    /// # Errors
    /// [`RootsUnusable`] if there is none, or one that cannot be read: name another file.
    pub fn from_pem(pem: &[u8]) -> Result<Self, RootsUnusable> {
        certificates(pem).map(Self::Only)
    }

    /// These, and the certificates of a PEM file beside them.
    ///
    /// # Errors
    /// As [`Roots::from_pem`].
    pub fn and_pem(&self, pem: &[u8]) -> Result<Self, RootsUnusable> {
        Ok(Self::Added(Box::new(self.clone()), certificates(pem)?))
    }

    /// Those that are not added, and all that are.
    fn parts(&self) -> (&Self, Vec<CertificateDer<'static>>) {
        match self {
            Self::Added(others, added) => {
                let (base, mut all) = others.parts();
                all.extend(added.iter().cloned());
                (base, all)
            }
            base => (base, Vec::new()),
        }
    }
}

fn certificates(pem: &[u8]) -> Result<Arc<[CertificateDer<'static>]>, RootsUnusable> {
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let read = read.ok().filter(|certificates| !certificates.is_empty());
    read.map(Into::into).ok_or(RootsUnusable)
}

/// The cryptography that all adapters use.
#[must_use]
pub fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

/// Mozilla's list.
fn compiled() -> RootCertStore {
    RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() }
}

/// A client configuration that trusts these roots.
///
/// # Errors
/// [`RootsUnusable`]; nothing can be sent then, so name other roots.
pub fn client_config(roots: &Roots) -> Result<ClientConfig, RootsUnusable> {
    let provider = provider();
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|_| RootsUnusable)?;
    let (base, added) = roots.parts();
    let store = match base {
        // An added root stands beside some base, never beside nothing.
        Roots::Added(..) => return Err(RootsUnusable),
        Roots::Compiled => compiled(),
        Roots::Only(certificates) => {
            let mut store = RootCertStore::empty();
            let (added, _) = store.add_parsable_certificates(certificates.iter().cloned());
            if added == 0 {
                return Err(RootsUnusable);
            }
            store
        }
        #[cfg(feature = "platform-verifier")]
        Roots::Platform => {
            let verifier = platform(added, provider)?;
            // The name is rustls's for every verifier but its own; this one is the system's.
            return Ok(builder
                .dangerous()
                .with_custom_certificate_verifier(Arc::new(verifier))
                .with_no_client_auth());
        }
    };
    let store = beside(store, added)?;
    Ok(builder.with_root_certificates(store).with_no_client_auth())
}

/// Adds certificates to a store. One that was added by hand is missed by somebody if it cannot be used.
fn beside(
    mut store: RootCertStore,
    added: Vec<CertificateDer<'static>>,
) -> Result<RootCertStore, RootsUnusable> {
    for certificate in added {
        store.add(certificate).map_err(|_| RootsUnusable)?;
    }
    Ok(store)
}

/// The operating system's verifier, with the roots that were added to it.
#[cfg(feature = "platform-verifier")]
fn platform(
    added: Vec<CertificateDer<'static>>,
    provider: Arc<CryptoProvider>,
) -> Result<rustls_platform_verifier::Verifier, RootsUnusable> {
    use rustls_platform_verifier::Verifier;
    if added.is_empty() {
        return Verifier::new(provider).map_err(|_| RootsUnusable);
    }
    #[cfg(not(target_os = "android"))]
    return Verifier::new_with_extra_roots(added, provider).map_err(|_| RootsUnusable);
    // Its verifier takes none.
    #[cfg(target_os = "android")]
    Err(RootsUnusable)
}

#[cfg(all(test, feature = "testing"))]
mod tests {
    use super::*;
    use crate::testing::front::Front;

    #[test]
    fn added_roots_stand_beside_the_usual_ones() {
        let [one, other] = [(); 2].map(|()| Front::bind());
        let roots = Roots::default().and_pem(one.pem().as_bytes()).unwrap();
        let roots = roots.and_pem(other.pem().as_bytes()).unwrap();
        let (base, added) = roots.parts();
        assert!(matches!(base, Roots::Compiled));
        assert_eq!(added, [one.authority(), other.authority()]);
        let usual = compiled().len();
        assert!(usual > 50);
        assert_eq!(beside(compiled(), added).unwrap().len(), usual + 2);
        assert!(client_config(&roots).is_ok());
        #[cfg(feature = "platform-verifier")]
        assert!(client_config(&Roots::Platform.and_pem(one.pem().as_bytes()).unwrap()).is_ok());
    }

    #[test]
    fn a_certificate_that_cannot_be_a_root_is_missed() {
        let none = CertificateDer::from(vec![1, 2, 3]);
        let added = Roots::Added(Box::default(), Arc::new([none]));
        assert_eq!(client_config(&added).unwrap_err(), RootsUnusable);
        assert_eq!(Roots::default().and_pem(b"").unwrap_err(), RootsUnusable);
    }
}
