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
    /// The operating system's.
    #[cfg(feature = "platform-verifier")]
    Platform,
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
        let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
        match read {
            Ok(certificates) if !certificates.is_empty() => Ok(Self::Only(certificates.into())),
            _ => Err(RootsUnusable),
        }
    }
}

/// The cryptography that all adapters use.
#[must_use]
pub fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
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
    let store = match roots {
        Roots::Compiled => RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() },
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
            let verifier =
                rustls_platform_verifier::Verifier::new(provider).map_err(|_| RootsUnusable)?;
            // The name is rustls's for every verifier but its own; this one is the system's.
            return Ok(builder
                .dangerous()
                .with_custom_certificate_verifier(Arc::new(verifier))
                .with_no_client_auth());
        }
    };
    Ok(builder.with_root_certificates(store).with_no_client_auth())
}
