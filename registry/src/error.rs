//! Why a registry did not help. Names the registry by its address without user, password and query, and
//! quotes at most the first characters of an answer.

/// How a registry is away.
#[derive(Debug, thiserror::Error)]
pub enum Absence {
    /// No connection came about.
    #[error("it cannot be reached")]
    Unreachable(#[source] reqwest::Error),
    /// The answer did not come in time.
    #[error("it took too long")]
    TimedOut(#[source] reqwest::Error),
    /// The connection broke before the answer was complete.
    #[error("the connection broke")]
    Lost(#[source] reqwest::Error),
    /// It says itself that it cannot answer now.
    #[error("it answered HTTP {0}")]
    Unwell(u16),
}

/// Why there is no id or no schema.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// The address cannot be one. It is not shown: credentials may be anywhere in it.
    #[error("the address of the schema registry is no http or https URL")]
    Address,
    /// The HTTP client cannot be set up.
    #[error("the HTTP client for the schema registry cannot be set up")]
    Client(#[source] reqwest::Error),
    /// The registry is away, and what was asked is not known from before.
    #[error("{doing}: the schema registry at {registry} is away")]
    Away {
        /// Its address.
        registry: String,
        /// The question.
        doing: String,
        /// How it is away.
        #[source]
        absence: Absence,
    },
    /// It does not accept our credentials, or wants some.
    #[error("{doing}: the schema registry at {registry} refuses our credentials (HTTP {status})")]
    Denied {
        /// Its address.
        registry: String,
        /// The question.
        doing: String,
        /// 401 or 403.
        status: u16,
    },
    /// The schema may not follow those of its subject; nothing was registered.
    #[error(
        "the schema may not be registered for subject `{subject}`: the registry at {registry} finds it incompatible: {answer}"
    )]
    Incompatible {
        /// Its address.
        registry: String,
        /// The subject.
        subject: String,
        /// The registry's reason, shortened.
        answer: String,
    },
    /// No schema has this id.
    #[error("the schema registry at {registry} knows no schema {id}")]
    UnknownSchema {
        /// Its address.
        registry: String,
        /// The id.
        id: u32,
    },
    /// The id belongs to a schema of another language.
    #[error("schema {id} of the registry at {registry} is not Avro")]
    NotAvro {
        /// Its address.
        registry: String,
        /// The id.
        id: u32,
    },
    /// The registry was reset or exchanged: an id does not mean what it meant.
    #[error(
        "the schema registry at {registry} gives id {id} another schema than before; restore it, or remove the file of known schemas once no record with the old ids is left"
    )]
    Contradiction {
        /// Its address.
        registry: String,
        /// The id.
        id: u32,
    },
    /// It says no in another way.
    #[error("{doing}: the schema registry at {registry} answered HTTP {status}: {answer}")]
    Refused {
        /// Its address.
        registry: String,
        /// The question.
        doing: String,
        /// The HTTP status.
        status: u16,
        /// The registry's words, shortened.
        answer: String,
    },
    /// What answers is no schema registry.
    #[error("{doing}: what {registry} answered is not the API of a schema registry")]
    Unintelligible {
        /// The address.
        registry: String,
        /// The question.
        doing: String,
    },
    /// The answer is larger than any schema.
    #[error("{doing}: the answer of the schema registry at {registry} is over {limit} bytes")]
    TooLarge {
        /// Its address.
        registry: String,
        /// The question.
        doing: String,
        /// What is read at most.
        limit: usize,
    },
}

impl RegistryError {
    /// Whether asking again later may help without anybody changing anything.
    pub fn is_away(&self) -> bool {
        matches!(self, Self::Away { .. })
    }
}
