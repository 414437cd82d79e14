//! TLS by rustls: our own certificate, and whom we believe.

use std::path::Path;
use std::sync::Arc;

use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore, ServerConfig};

use crate::{Certificate, WebError};

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

fn read(path: &Path) -> Result<Vec<u8>, WebError> {
    std::fs::read(path).map_err(|source| WebError::File { path: path.to_owned(), source })
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, WebError> {
    let wrong = |wrong: String| WebError::Pem { path: path.to_owned(), wrong };
    let bytes = read(path)?;
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bytes).collect();
    let chain = chain.map_err(|error| wrong(format!("it is not a PEM file of certificates: {error}")))?;
    if chain.is_empty() { Err(wrong("there is no certificate in it".into())) } else { Ok(chain) }
}

/// What we show to browsers.
pub(crate) fn server(certificate: &Certificate) -> Result<Arc<ServerConfig>, WebError> {
    let wrong = |wrong: String| WebError::Pem { path: certificate.key.clone(), wrong };
    let chain = certificates(&certificate.chain)?;
    let key = PrivateKeyDer::from_pem_slice(&zeroize::Zeroizing::new(read(&certificate.key)?))
        .map_err(|error| wrong(format!("it is not a PEM file of a private key: {error}")))?;
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(|error| wrong(error.to_string()))?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(|error| wrong(format!("certificate and key do not go together: {error}")))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

/// Believes the authorities of a file, or those of the system.
pub(crate) fn client(authorities: Option<&Path>) -> Result<Arc<ClientConfig>, WebError> {
    let mut roots = RootCertStore::empty();
    let named = authorities.map_or_else(|| Path::new("the system's certificates").to_owned(), Path::to_owned);
    let added = match authorities {
        Some(path) => roots.add_parsable_certificates(certificates(path)?).0,
        None => roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs).0,
    };
    let wrong = |wrong: String| WebError::Pem { path: named.clone(), wrong };
    if added == 0 {
        return Err(wrong("there is no certificate authority in it that could be believed".into()));
    }
    believing(roots).map_err(wrong)
}

fn believing(roots: RootCertStore) -> Result<Arc<ClientConfig>, String> {
    let builder = ClientConfig::builder_with_provider(provider()).with_safe_default_protocol_versions();
    let config = builder.map_err(|error| error.to_string())?.with_root_certificates(roots).with_no_client_auth();
    Ok(Arc::new(config))
}

/// Believes nobody.
pub(crate) fn client_of_nobody() -> Result<Arc<ClientConfig>, WebError> {
    believing(RootCertStore::empty()).map_err(|wrong| WebError::Setting { key: "web.openid.issuer", wrong })
}
