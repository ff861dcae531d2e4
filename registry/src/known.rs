//! What the registry has said: in memory for this run, in a file for the next.
//!
//! The file is a line with the SHA-256 of the rest, and the rest in JSON. It is replaced as a whole, by
//! renaming.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

const FILE: &str = "schema-registry.known";
const UNFINISHED: &str = "schema-registry.unfinished";

/// A topic of ours is written with a handful of schemas; foreign records must not fill the memory.
const MOST_SCHEMAS: usize = 64;

/// Above what [`MOST_SCHEMAS`] of the largest size take.
const LARGEST_FILE: u64 = 128 * 1024 * 1024;

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Known {
    /// The registry's address.
    registry: String,
    /// By subject.
    writers: BTreeMap<String, Writer>,
    /// By id.
    schemas: BTreeMap<u32, Arc<str>>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Writer {
    schema: String,
    id: u32,
}

/// What can be answered without the registry.
#[derive(Debug)]
pub(crate) struct Memory {
    folder: Option<PathBuf>,
    contents: Mutex<Contents>,
    /// Held while the file is written, so that an older content never replaces a newer one.
    saving: tokio::sync::Mutex<()>,
}

#[derive(Debug)]
struct Contents {
    /// What may be answered without asking: said in this run, or recalled while the registry was away.
    sure: Known,
    /// What the file holds or should hold.
    kept: Known,
}

impl Memory {
    /// What the file in `folder` says of the registry at `address`; nothing, if it cannot be used.
    pub(crate) fn open(folder: Option<&Path>, address: &str) -> Self {
        let nothing = Known { registry: address.to_owned(), ..Known::default() };
        let kept = folder.and_then(|folder| read_usable(folder, address));
        let contents = Contents { sure: nothing.clone(), kept: kept.unwrap_or(nothing) };
        Self {
            folder: folder.map(Path::to_path_buf),
            contents: Mutex::new(contents),
            saving: tokio::sync::Mutex::new(()),
        }
    }

    pub(crate) fn writer(&self, subject: &str, schema: &str) -> Option<u32> {
        self.lock().sure.writer(subject, schema)
    }

    pub(crate) fn schema(&self, id: u32) -> Option<Arc<str>> {
        self.lock().sure.schemas.get(&id).cloned()
    }

    /// The id from the run before, now that the registry is away.
    pub(crate) fn recall_writer(&self, subject: &str, schema: &str) -> Option<u32> {
        let mut contents = self.lock();
        let id = contents.kept.writer(subject, schema)?;
        contents.sure.set_writer(subject, schema, id);
        tracing::warn!(
            subject,
            id,
            "the schema registry is away; writing with the id it gave before"
        );
        Some(id)
    }

    /// The schema from the run before, now that the registry is away.
    pub(crate) fn recall_schema(&self, id: u32) -> Option<Arc<str>> {
        let mut contents = self.lock();
        let schema = contents.kept.schemas.get(&id).cloned()?;
        contents.sure.set_schema(id, Arc::clone(&schema));
        tracing::warn!(id, "the schema registry is away; reading with the schema it gave before");
        Some(schema)
    }

    /// Whether the file gives the id another schema. Layout does not count: a registry may store a
    /// schema as it likes.
    pub(crate) fn contradicts(&self, id: u32, schema: &str) -> bool {
        let contents = self.lock();
        let Some(before) = contents.kept.schemas.get(&id) else { return false };
        let parsed = |text| serde_json::from_str::<serde_json::Value>(text).ok();
        **before != *schema && parsed(before) != parsed(schema)
    }

    pub(crate) async fn keep_writer(&self, subject: &str, schema: &str, id: u32) {
        {
            let mut contents = self.lock();
            contents.sure.set_writer(subject, schema, id);
            if contents.kept.writer(subject, schema) == Some(id) {
                return;
            }
            contents.kept.set_writer(subject, schema, id);
        }
        self.save().await;
    }

    pub(crate) async fn keep_schema(&self, id: u32, schema: Arc<str>) {
        {
            let mut contents = self.lock();
            contents.sure.set_schema(id, Arc::clone(&schema));
            if contents.kept.schemas.get(&id) == Some(&schema) {
                return;
            }
            contents.kept.set_schema(id, schema);
        }
        self.save().await;
    }

    async fn save(&self) {
        let Some(folder) = self.folder.clone() else { return };
        let _one_at_a_time = self.saving.lock().await;
        let kept = self.lock().kept.clone();
        let place = folder.join(FILE);
        let saved = tokio::task::spawn_blocking(move || write(&folder, &kept)).await;
        let failure = match saved {
            Ok(Ok(())) => return,
            Ok(Err(error)) => error,
            Err(error) => io::Error::other(error),
        };
        tracing::warn!(
            file = %place.display(),
            error = %failure,
            "cannot keep what the schema registry said; a restart will need the registry"
        );
    }

    fn lock(&self) -> MutexGuard<'_, Contents> {
        self.contents.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    fn writer(&self, subject: &str, schema: &str) -> Option<u32> {
        self.writers.get(subject).filter(|writer| writer.schema == schema).map(|writer| writer.id)
    }

    fn set_writer(&mut self, subject: &str, schema: &str, id: u32) {
        self.writers.insert(subject.to_owned(), Writer { schema: schema.to_owned(), id });
    }

    /// Beyond the most, the lowest id goes: the oldest schema.
    fn set_schema(&mut self, id: u32, schema: Arc<str>) {
        self.schemas.insert(id, schema);
        while self.schemas.len() > MOST_SCHEMAS {
            self.schemas.pop_first();
        }
    }
}

fn read_usable(folder: &Path, address: &str) -> Option<Known> {
    let file = folder.join(FILE);
    let unusable = match read(&file) {
        Ok(known) if known.registry == address => return Some(known),
        Ok(_) => "it was learned from a registry at another address".to_owned(),
        Err(error) if error.kind() == ErrorKind::NotFound => return None,
        Err(error) => error.to_string(),
    };
    tracing::warn!(file = %file.display(), reason = unusable, "not using the known schemas");
    None
}

fn read(file: &Path) -> io::Result<Known> {
    let damaged = || io::Error::new(ErrorKind::InvalidData, "the file is damaged");
    let mut bytes = Vec::new();
    File::open(file)?.take(LARGEST_FILE).read_to_end(&mut bytes)?;
    let end = bytes.iter().position(|byte| *byte == b'\n').ok_or_else(damaged)?;
    let (sum, rest) = (&bytes[..end], &bytes[end + 1..]);
    if sum != checksum(rest).as_bytes() {
        return Err(damaged());
    }
    serde_json::from_slice(rest).map_err(|_| damaged())
}

fn write(folder: &Path, known: &Known) -> io::Result<()> {
    std::fs::create_dir_all(folder)?;
    let content = serde_json::to_vec(known)?;
    let unfinished = folder.join(UNFINISHED);
    let mut file = File::create(&unfinished)?;
    file.write_all(checksum(&content).as_bytes())?;
    file.write_all(b"\n")?;
    file.write_all(&content)?;
    file.sync_all()?;
    std::fs::rename(unfinished, folder.join(FILE))
}

fn checksum(content: &[u8]) -> String {
    hex::encode(Sha256::digest(content))
}
