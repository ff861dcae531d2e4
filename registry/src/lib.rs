//! The client of a schema registry that speaks Confluent's HTTP API
//! (docs.confluent.io/platform/current/schema-registry/develop/api.html, read 2026-11; Apicurio serves
//! the same under `/apis/ccompat/v7`).
//!
//! A writer asks for the id of its schema ([`Registry::writer_id`]), a reader for the schema of an id
//! ([`Registry::schema`]). Both are asked for rarely and answered from memory ever after.
//!
//! # What is trusted, and when
//!
//! The registry promises that an id means the same schema for ever. So what it said once stays true
//! while it is away, and is kept in memory and, when a folder is given, in a file there:
//!
//! * in a running process, memory answers; the registry is not asked again;
//! * after a restart the registry is asked. Only if it is *away* (not reachable, too slow, or answering
//!   429 or 5xx) the file answers, and a warning says so. A registry that says no is believed;
//! * a writer's id is taken from the file only for the very same subject and text of the schema: it was
//!   found compatible when it was registered;
//! * the file counts only whole (it carries its SHA-256) and for the address of the registry it was
//!   learned from. A file that cannot be used is as good as none, and one that cannot be written costs a
//!   warning: the pipeline goes on, but could not restart while the registry is away;
//! * a registry that gives an id another schema than the file does was reset or exchanged. Records that
//!   are already written would be read wrong, so that is an error and not a surprise.
//!
//! Whoever can write to the folder can make events unreadable: it deserves the protection of the state
//! beside it. It holds schemas, no secrets and no events.

mod api;
mod error;
mod known;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use secrecy::SecretString;

use crate::api::Api;
pub use crate::error::{Absence, RegistryError};
use crate::known::Memory;

/// Where the registry is and what survives its absence.
#[derive(Debug)]
pub struct Settings {
    /// The address in front of `/subjects`, such as `https://host/apis/ccompat/v7`; with
    /// `user:password@` for HTTP Basic.
    pub url: SecretString,
    /// Where the file of what is known is kept; it belongs to this process alone. Without one, a restart
    /// needs the registry.
    pub folder: Option<PathBuf>,
    /// How long one question may take in all. A writer's first start asks three.
    pub patience: Duration,
}

/// How a schema stands with the registry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It is registered under this id.
    Registered(u32),
    /// It is not registered, but may follow the newest version of its subject.
    Compatible,
    /// The subject has no version yet.
    First,
}

/// A registry, and what it has said so far.
#[derive(Debug)]
pub struct Registry {
    api: Api,
    memory: Memory,
}

/// The subject of a topic's values (Confluent's `TopicNameStrategy`).
pub fn subject(topic: &str) -> String {
    format!("{topic}-value")
}

impl Registry {
    /// Reads what is known from the file; asks the registry nothing yet.
    pub fn open(settings: &Settings) -> Result<Self, RegistryError> {
        let api = Api::new(&settings.url, settings.patience)?;
        let memory = Memory::open(settings.folder.as_deref(), api.address());
        Ok(Self { api, memory })
    }

    /// The id to write `schema` with: looked up, or else found compatible and registered.
    ///
    /// What is registered already is not compared with the newest version: an older release must be able
    /// to come back after a newer one has registered its schema.
    ///
    /// [`RegistryError::Incompatible`] comes before anything is registered.
    pub async fn writer_id(&self, subject: &str, schema: &str) -> Result<u32, RegistryError> {
        if let Some(id) = self.memory.writer(subject, schema) {
            return Ok(id);
        }
        let registered = match self.api.look_up(subject, schema).await {
            Err(away) if away.is_away() => {
                return self.memory.recall_writer(subject, schema).ok_or(away);
            }
            answer => answer?,
        };
        let id = if let Some(id) = registered {
            id
        } else {
            self.api.judge(subject, schema).await?;
            self.api.register(subject, schema).await?
        };
        self.memory.keep_writer(subject, schema, id).await;
        Ok(id)
    }

    /// How `schema` stands, without changing anything: what [`Registry::writer_id`] would build on.
    pub async fn standing(&self, subject: &str, schema: &str) -> Result<Standing, RegistryError> {
        match self.api.look_up(subject, schema).await? {
            Some(id) => Ok(Standing::Registered(id)),
            None => self.api.judge(subject, schema).await,
        }
    }

    /// The schema with this id, as JSON text.
    ///
    /// An unknown id is asked for again each time, since replicas of a registry may lag; whoever meets
    /// it in a record must not ask in a tight loop.
    pub async fn schema(&self, id: u32) -> Result<Arc<str>, RegistryError> {
        if let Some(schema) = self.memory.schema(id) {
            return Ok(schema);
        }
        let schema = match self.api.schema(id).await {
            Err(away) if away.is_away() => return self.memory.recall_schema(id).ok_or(away),
            answer => answer?,
        };
        if self.memory.contradicts(id, &schema) {
            return Err(RegistryError::Contradiction { registry: self.api.address().into(), id });
        }
        self.memory.keep_schema(id, Arc::clone(&schema)).await;
        Ok(schema)
    }
}
