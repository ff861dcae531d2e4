//! Options that are credentials: written in place or, better, in a file of their own.

use std::sync::Arc;

use secrecy::SecretString;

use super::document::Entry;
use super::fields::{Fields, Reader};
use super::kinds::{path, text};
use super::problems::Place;
use crate::Binary;
use crate::secrets::Secrets;

/// How many credentials an option holds.
#[derive(Clone, Copy)]
enum Amount {
    One,
    /// None or more; all are valid at the same time.
    Several,
}

impl Reader<'_> {
    /// Whether the binary at hand uses the credentials below this path. The others must not need to
    /// have the files at all.
    fn opens(&self, place: &Place) -> bool {
        match self.binary {
            Binary::Ingest => place.path.starts_with("sources."),
            Binary::Deliver => place.path.starts_with("destinations."),
            Binary::Transform => false,
        }
    }
}

impl Fields<'_> {
    /// One credential, in place or in the file named by `<key>_file`.
    pub(super) fn secret(&mut self, key: &str, doc: &str) -> Option<Secrets> {
        let file_key = format!("{key}_file");
        self.declare(key, "text", &format!("required, or `{file_key}`"), doc);
        self.declare_secret_file(key, &file_key);
        match (self.take(key), self.take(&file_key)) {
            (Some(entry), None) => {
                let text = self.scalar(entry, &text())?;
                Some(Secrets::fixed(vec![SecretString::from(text)]))
            }
            (None, Some(entry)) => self.secret_file(entry, Amount::One),
            (None, None) => {
                self.problem_here(format!("`{key}` or `{file_key}` is required"));
                None
            }
            (Some(_), Some(_)) => self.both(key, &file_key),
        }
    }

    /// Any number of credentials that are valid at the same time, in place or in a file.
    pub(super) fn secrets(&mut self, key: &str, doc: &str) -> Option<Secrets> {
        let file_key = format!("{key}_file");
        self.declare(key, "a list of texts", "`[]`", doc);
        self.declare_secret_file(key, &file_key);
        match (self.take(key), self.take(&file_key)) {
            (Some(entry), None) => {
                let items = self.items(entry)?;
                let kind = text();
                let read: Vec<Option<SecretString>> = items
                    .into_iter()
                    .map(|(place, node)| self.scalar_at(&place, node, &kind).map(Into::into))
                    .collect();
                read.into_iter().collect::<Option<Vec<_>>>().map(Secrets::fixed)
            }
            (None, Some(entry)) => self.secret_file(entry, Amount::Several),
            (None, None) => Some(Secrets::none()),
            (Some(_), Some(_)) => self.both(key, &file_key),
        }
    }

    fn secret_file(&self, entry: &Entry, amount: Amount) -> Option<Secrets> {
        let file = self.scalar(entry, &path())?;
        let secrets = Secrets::in_file(file, Arc::clone(&self.reader.clock));
        let place = self.place().child(&entry.key, &entry.origin);
        if self.reader.describes() || !self.reader.opens(&place) {
            return Some(secrets);
        }
        match (secrets.read(), amount) {
            (Err(error), _) => {
                self.complain(&place, error.to_string());
                None
            }
            (Ok(1), Amount::One) | (Ok(_), Amount::Several) => Some(secrets),
            (Ok(found), Amount::One) => {
                let message = format!("the file must hold one line, found {found}");
                self.complain(&place, message);
                None
            }
        }
    }
    fn both<T>(&self, key: &str, file_key: &str) -> Option<T> {
        self.problem(file_key, format!("`{key}` is set as well; keep one of the two"));
        None
    }

    fn declare_secret_file(&self, key: &str, file_key: &str) {
        let doc =
            format!("Instead of `{key}`: a file with one secret a line, re-read within 20 s.");
        self.declare(file_key, "a path", "unset", &doc);
    }
}
