//! Rows of a CSV file, each with the line on which it begins.

use std::collections::BTreeSet;
use std::io::Read;

use csv::{ByteRecord, Reader, ReaderBuilder, StringRecord};

use super::told::{FileError, Refusal};

/// A file with a heading.
pub(super) struct Rows<R> {
    reader: Reader<R>,
    heading: Vec<String>,
}

/// A row that cannot be used.
pub(super) struct Broken<'a> {
    /// Why.
    pub(super) refusal: Refusal,
    bytes: &'a ByteRecord,
}

impl Broken<'_> {
    /// What stands at a place all the same: of whom a row is refused nothing is imported.
    pub(super) fn cell(&self, place: usize) -> Option<String> {
        let cell = std::str::from_utf8(self.bytes.get(place)?).ok()?;
        Some(cell.trim().to_owned())
    }
}

impl<R: Read> Rows<R> {
    /// Reads the heading.
    pub(super) fn open(file: R) -> Result<Self, FileError> {
        let mut reader = ReaderBuilder::new().flexible(true).from_reader(file);
        let heading = reader.headers().map_err(|error| FileError::of(error.into_kind()))?;
        let heading: Vec<_> = heading.iter().map(|name| name.trim().to_owned()).collect();
        if heading.iter().all(String::is_empty) {
            return Err(FileError::NoHeading);
        }
        let mut seen = BTreeSet::new();
        match heading.iter().find(|name| !seen.insert(name.as_str())) {
            Some(twice) => Err(FileError::ColumnTwice(twice.clone())),
            None => Ok(Self { reader, heading }),
        }
    }

    /// The names of the columns.
    pub(super) fn heading(&self) -> &[String] {
        &self.heading
    }

    /// Every row, or why it is none.
    pub(super) fn for_each(
        mut self,
        mut each: impl FnMut(u64, Result<&StringRecord, Broken<'_>>),
    ) -> Result<(), FileError> {
        let columns = self.heading.len();
        let mut bytes = ByteRecord::new();
        while self
            .reader
            .read_byte_record(&mut bytes)
            .map_err(|error| FileError::of(error.into_kind()))?
        {
            let line = bytes.position().map_or(0, csv::Position::line);
            let problem = match StringRecord::from_byte_record(bytes.clone()) {
                Ok(row) if row.len() == columns => {
                    each(line, Ok(&row));
                    continue;
                }
                Ok(row) => format!("it has {} fields and the heading {columns}", row.len()),
                Err(_) => "it is not UTF-8".to_owned(),
            };
            each(line, Err(Broken { refusal: Refusal::row(line, problem), bytes: &bytes }));
        }
        Ok(())
    }
}
