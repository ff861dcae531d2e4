//! What a re-keyed copy of a raw record says of itself.

use strum::{EnumString, IntoStaticStr};

use super::{Header, HeaderError, MOVED, REKEYED, STAGE, need, parse, without};

/// How far a re-keyed record has come. A copy always has a later stage than the record it is a copy of,
/// so that no record is copied for ever; forwards follow each other by the moment they take effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, EnumString, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum Stage {
    /// To whom a link said the record belongs.
    Alias,
    /// To the same key once more: it has turned out to be the sender of this transfer.
    Sender,
    /// To the person a transfer names as its receiver.
    Receiver,
    /// To the receiver as it is known by now, be it by another id.
    ReceiverAlias,
    /// On to the person to whom the receiver had passed everything before.
    Forward,
    /// To that person as it is known by now.
    ForwardAlias,
}

impl Stage {
    /// The word in the header.
    pub fn name(self) -> &'static str {
        self.into()
    }
}

/// What a re-keyed copy says about where it comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RekeyedHeaders {
    /// Partition of the record this is a copy of.
    pub partition: i32,
    /// Its offset there.
    pub offset: i64,
    /// How far this copy has come.
    pub stage: Stage,
    /// What a transfer brings, encoded; only from the receiver's stage on.
    pub moved: Option<Vec<u8>>,
}

impl RekeyedHeaders {
    /// The record's headers with this origin in place of an older one.
    pub fn onto(&self, original: &[Header]) -> Vec<Header> {
        let mut headers = without(original, &[REKEYED, STAGE, MOVED]);
        headers.push(Header::text(REKEYED, format!("{}/{}", self.partition, self.offset)));
        headers.push(Header::text(STAGE, self.stage.name()));
        let moved = self.moved.clone();
        headers.extend(moved.map(|value| Header { name: MOVED.to_owned(), value }));
        headers
    }

    /// Reads where a record comes from; `None` for one that is no copy.
    pub fn from_headers(headers: &[Header]) -> Result<Option<Self>, HeaderError> {
        let Some(stage) = parse(headers, STAGE)? else { return Ok(None) };
        let origin = need(headers, REKEYED)?.split_once('/');
        let origin = origin
            .and_then(|(partition, offset)| Some((partition.parse().ok()?, offset.parse().ok()?)));
        let (partition, offset) = origin.ok_or(HeaderError::Malformed(REKEYED))?;
        let moved = headers.iter().rev().find(|header| header.name == MOVED);
        let moved = moved.map(|header| header.value.clone());
        Ok(Some(Self { partition, offset, stage, moved }))
    }
}
