//! A broker that lets in only whom it knows: SASL over TLS, and an authorizer that allows what was allowed.
//!
//! What sets it up comes through a listener of its own, without either, which is for the harness alone: whoever comes
//! through it is anonymous, and the anonymous may do everything. The binaries are told of the other.

use std::fmt;
use std::path::PathBuf;

use crate::authority::PASSWORD;

/// Whom it lets in, and who it is to them.
#[derive(Debug, Clone)]
pub struct Guard {
    /// The key and the certificate it shows, as [`crate::authority::Authority::issue`] makes them.
    pub keystore: PathBuf,
    pub users: Vec<User>,
}

/// One who may come in, with SCRAM-SHA-512. What it may do there is another matter.
#[derive(Clone)]
pub struct User {
    pub name: String,
    pub password: String,
}

impl fmt::Debug for User {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("User").field(&self.name).finish()
    }
}

impl Guard {
    /// Beside what every broker is configured with.
    pub(super) fn properties(&self) -> String {
        let keystore = self.keystore.display();
        let login = "org.apache.kafka.common.security.scram.ScramLoginModule required;";
        let authorizer = "org.apache.kafka.metadata.authorizer.StandardAuthorizer";
        format!(
            "authorizer.class.name={authorizer}\n\
             super.users=User:ANONYMOUS\n\
             allow.everyone.if.no.acl.found=false\n\
             listener.name.guarded.sasl.enabled.mechanisms=SCRAM-SHA-512\n\
             listener.name.guarded.scram-sha-512.sasl.jaas.config={login}\n\
             listener.name.guarded.ssl.keystore.type=PKCS12\n\
             listener.name.guarded.ssl.keystore.location={keystore}\n\
             listener.name.guarded.ssl.keystore.password={PASSWORD}\n"
        )
    }

    /// What the storage is to be formatted with: the users are in it from the beginning.
    pub(super) fn format_arguments(&self) -> Vec<String> {
        let credentials = |user: &User| {
            let User { name, password } = user;
            format!("SCRAM-SHA-512=[name={name},password={password}]")
        };
        let added =
            self.users.iter().flat_map(|user| ["--add-scram".to_owned(), credentials(user)]);
        added.collect()
    }
}

/// What the authorizer wrote down as denied to these users, from the broker's log.
pub(super) fn denials(log: &str, users: &[String]) -> Vec<String> {
    let of_one = |line: &&str| {
        users.iter().any(|user| line.contains(&format!("Principal = User:{user} is Denied ")))
    };
    log.lines().filter(of_one).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_denial_is_found_by_whose_it_is() {
        let log = "INFO logger: Principal = User:a-ingest is Denied operation = WRITE from host\n\
                   INFO logger: Principal = User:b-ingest is Denied operation = READ from host\n";
        let found = denials(log, &["a-ingest".to_owned()]);
        assert_eq!(found.len(), 1);
        assert!(found[0].contains("WRITE"));
    }

    #[test]
    fn a_password_is_never_printed() {
        let user = User { name: "a".to_owned(), password: "hush".to_owned() };
        assert_eq!(format!("{user:?}"), "User(\"a\")");
    }
}
