use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use rustls::ServerConfig;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::NoServerSessionStorage;

/// Why there is no TLS.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// A file cannot be had.
    #[error("cannot read {path}: {source}; check the path, and that Fairban's user may read it")]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// A file is not what it should be.
    #[error("{path} holds no {what}: name a PEM file that does")]
    Missing {
        /// Which.
        path: PathBuf,
        /// What was looked for.
        what: &'static str,
    },
    /// The two files are good, but not together.
    #[error(
        "the certificate {certificate} cannot be used with the key {key}: {source}; name the files that belong together"
    )]
    Unusable {
        /// The certificate's file.
        certificate: PathBuf,
        /// The key's file.
        key: PathBuf,
        /// What the library says.
        source: rustls::Error,
    },
}

/// The operator's certificate, as two PEM files: the chain, and its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateFiles {
    /// The certificate, and those that lead from it to one that clients know.
    pub chain: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

impl CertificateFiles {
    /// Reads both, and sees whether they belong together.
    ///
    /// # Errors
    /// What is wrong with which file.
    pub fn check(&self) -> Result<(), CertificateError> {
        self.read().map(|_| ())
    }

    fn read(&self) -> Result<Arc<ServerConfig>, CertificateError> {
        let chain = fs::read(&self.chain).map_err(|source| unreadable(&self.chain, source))?;
        let key = fs::read(&self.key).map_err(|source| unreadable(&self.key, source))?;
        let chain = CertificateDer::pem_slice_iter(&chain)
            .collect::<Result<Vec<_>, pem::Error>>()
            .ok()
            .filter(|chain| !chain.is_empty())
            .ok_or_else(|| CertificateError::Missing { path: self.chain.clone(), what: "certificate" })?;
        let key = PrivateKeyDer::from_pem_slice(&key)
            .map_err(|_| CertificateError::Missing { path: self.key.clone(), what: "private key" })?;
        let unusable =
            |source| CertificateError::Unusable { certificate: self.chain.clone(), key: self.key.clone(), source };
        let mut config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(unusable)?
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .map_err(unusable)?;
        // Nobody comes back to the explainer so often that sessions are worth keeping.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        Ok(Arc::new(config))
    }

    /// When each file was changed last, as far as can be told.
    fn changed(&self) -> [Option<SystemTime>; 2] {
        [&self.chain, &self.key].map(|path| fs::metadata(path).and_then(|facts| facts.modified()).ok())
    }
}

fn unreadable(path: &Path, source: io::Error) -> CertificateError {
    CertificateError::Unreadable { path: path.to_owned(), source }
}

/// A certificate in use, which follows its files.
#[derive(Debug)]
pub(super) struct Certificate {
    files: CertificateFiles,
    current: Mutex<(Arc<ServerConfig>, [Option<SystemTime>; 2])>,
}

impl Certificate {
    pub(super) fn load(files: CertificateFiles) -> Result<Self, CertificateError> {
        let changed = files.changed();
        let config = files.read()?;
        Ok(Certificate { files, current: Mutex::new((config, changed)) })
    }

    pub(super) fn config(&self) -> Arc<ServerConfig> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner).0.clone()
    }

    /// Takes what the files hold now, if they were changed; what cannot be used is not taken.
    pub(super) fn follow(&self) -> Result<bool, CertificateError> {
        let changed = self.files.changed();
        if self.current.lock().unwrap_or_else(PoisonError::into_inner).1 == changed {
            return Ok(false);
        }
        let config = self.files.read()?;
        *self.current.lock().unwrap_or_else(PoisonError::into_inner) = (config, changed);
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    fn make(files: &CertificateFiles) {
        let output = Command::new("openssl")
            .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"])
            .args(["-subj", "/CN=mail.example.test", "-addext", "subjectAltName=DNS:mail.example.test", "-keyout"])
            .arg(&files.key)
            .arg("-out")
            .arg(&files.chain)
            .output()
            .unwrap();
        assert!(output.status.success());
    }

    #[test]
    fn new_files_are_taken_and_broken_ones_are_not() {
        let folder = tempfile::TempDir::new().unwrap();
        let files = CertificateFiles { chain: folder.path().join("chain.pem"), key: folder.path().join("key.pem") };
        make(&files);
        let certificate = Certificate::load(files.clone()).unwrap();
        let first = certificate.config();
        assert!(!certificate.follow().unwrap() && Arc::ptr_eq(&first, &certificate.config()));
        make(&files);
        assert!(certificate.follow().unwrap());
        let second = certificate.config();
        assert!(!Arc::ptr_eq(&first, &second));
        fs::write(&files.chain, "nothing").unwrap();
        assert!(matches!(certificate.follow(), Err(CertificateError::Missing { what: "certificate", .. })));
        fs::remove_file(&files.key).unwrap();
        assert!(matches!(certificate.follow(), Err(CertificateError::Unreadable { .. })));
        assert!(Arc::ptr_eq(&second, &certificate.config()));
        make(&files);
        assert!(certificate.follow().unwrap(), "what was mended is taken");
    }
}
