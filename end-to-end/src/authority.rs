//! A certificate authority of a test's own, made with the `keytool` that comes with Java.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::broker::BrokerError;
use crate::preflight;

/// Of the keystores. They hold nothing that anybody else trusts, and are gone with the run.
pub(crate) const PASSWORD: &str = "of-a-test";
const OWN: &str = "authority";

/// Whose certificates are trusted by whoever is given [`Authority::certificate`].
#[derive(Debug)]
pub struct Authority {
    folder: PathBuf,
    store: PathBuf,
    certificate: PathBuf,
}

impl Authority {
    /// Makes one, whose files lie in `folder`.
    ///
    /// # Errors
    /// When Java is missing, or its tool refuses.
    pub fn new(folder: &Path) -> Result<Self, BrokerError> {
        preflight::ensure(&[preflight::JAVA], &|_| ()).map_err(crate::java::JavaError::from)?;
        std::fs::create_dir_all(folder).map_err(failed)?;
        let store = folder.join("authority.p12");
        let certificate = folder.join("authority.pem");
        let own = Self { folder: folder.to_owned(), store, certificate };
        keytool(&own.store, &pair(OWN, &["-ext", "bc:c"]))?;
        let file = own.certificate.display().to_string();
        keytool(&own.store, &words(&["-exportcert", "-rfc", "-alias", OWN, "-file", &file]))?;
        Ok(own)
    }

    /// A keystore (PKCS#12) with a key, and a certificate for `host`.
    ///
    /// # Errors
    /// When the tool refuses.
    pub fn issue(&self, host: &str) -> Result<PathBuf, BrokerError> {
        let issued = self.folder.join("issued.p12");
        // The tool signs with what lies in the same store only.
        std::fs::copy(&self.store, &issued).map_err(failed)?;
        let name = format!("san=dns:{host}");
        keytool(&issued, &pair("server", &["-signer", OWN, "-ext", &name]))?;
        // A server takes any key that it finds.
        keytool(&issued, &words(&["-delete", "-alias", OWN]))?;
        Ok(issued)
    }

    /// What its certificates are to be checked with, in PEM.
    pub fn certificate(&self) -> &Path {
        &self.certificate
    }
}

fn pair(alias: &str, more: &[&str]) -> Vec<String> {
    let name = format!("CN={alias}");
    let common = ["-genkeypair", "-alias", alias, "-dname", &name, "-keyalg", "EC"];
    let strength = ["-groupname", "secp256r1", "-validity", "2"];
    [words(&common), words(&strength), words(more)].concat()
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|&word| word.to_owned()).collect()
}

fn keytool(store: &Path, arguments: &[String]) -> Result<(), BrokerError> {
    let output = Command::new("keytool")
        .args(arguments)
        .args(["-storetype", "PKCS12", "-storepass", PASSWORD, "-keystore"])
        .arg(store)
        .stdin(Stdio::null())
        .output()
        .map_err(failed)?;
    if output.status.success() {
        return Ok(());
    }
    let output = String::from_utf8_lossy(&output.stdout).into_owned();
    Err(BrokerError::Command { doing: "making a certificate with keytool", output })
}

fn failed(source: std::io::Error) -> BrokerError {
    BrokerError::Io { doing: "making a certificate", source }
}
