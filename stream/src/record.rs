//! Records, as written and as read.

use std::sync::Arc;

use rdkafka::Message;
use rdkafka::message::{BorrowedMessage, Header as RawHeader, Headers, OwnedHeaders};
use schemas::Timestamp;
use schemas::headers::Header;

/// One partition of one topic.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicPartition {
    /// Full topic name.
    pub topic: Arc<str>,
    /// Partition number.
    pub partition: i32,
}

impl std::fmt::Display for TopicPartition {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}[{}]", self.topic, self.partition)
    }
}

/// A record to write. It always has a key: order is promised per key and nowhere else.
#[derive(Clone, PartialEq, Eq)]
pub struct Record {
    /// Full topic name.
    pub topic: String,
    /// Where it must go; by the key's hash when absent.
    pub partition: Option<i32>,
    /// The key.
    pub key: Vec<u8>,
    /// The value; a tombstone when absent.
    pub value: Option<Vec<u8>>,
    /// Headers, in order.
    pub headers: Vec<Header>,
}

impl std::fmt::Debug for Record {
    /// Without key, value and header values: they may say who the subscriber is.
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Record")
            .field("topic", &self.topic)
            .field("partition", &self.partition)
            .field("bytes", &self.value.as_ref().map(Vec::len))
            .finish_non_exhaustive()
    }
}

impl Record {
    /// Bytes it holds, roughly what it costs in a transaction.
    pub fn size(&self) -> usize {
        let headers: usize =
            self.headers.iter().map(|header| header.name.len() + header.value.len()).sum();
        self.key.len() + self.value.as_ref().map_or(0, Vec::len) + headers
    }

    pub(crate) fn client_headers(&self) -> OwnedHeaders {
        let empty = OwnedHeaders::new_with_capacity(self.headers.len());
        self.headers.iter().fold(empty, |headers, header| {
            headers.insert(RawHeader { key: &header.name, value: Some(&header.value) })
        })
    }
}

/// A record that was read.
#[derive(Clone, PartialEq, Eq)]
pub struct Received {
    /// Full topic name.
    pub topic: Arc<str>,
    /// Its partition.
    pub partition: i32,
    /// Its offset.
    pub offset: i64,
    /// The record's timestamp: the broker's clock where the topic says `LogAppendTime`.
    pub timestamp: Timestamp,
    /// Its key.
    pub key: Option<Vec<u8>>,
    /// Its value; absent in a tombstone.
    pub value: Option<Vec<u8>>,
    /// Its headers, in order.
    pub headers: Vec<Header>,
}

impl std::fmt::Debug for Received {
    /// Without key, value and header values: they may say who the subscriber is.
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Received")
            .field("topic", &self.topic)
            .field("partition", &self.partition)
            .field("offset", &self.offset)
            .finish_non_exhaustive()
    }
}

impl Received {
    /// The partition it was read from.
    pub fn topic_partition(&self) -> TopicPartition {
        TopicPartition { topic: Arc::clone(&self.topic), partition: self.partition }
    }

    /// Takes a message out of the client's memory. `topic` is shared by all records of a consumer.
    pub(crate) fn take(message: &BorrowedMessage<'_>, topic: Arc<str>) -> Self {
        let headers = message.headers().map(|headers| {
            headers
                .iter()
                .map(|header| Header {
                    name: header.key.to_owned(),
                    value: header.value.unwrap_or_default().to_vec(),
                })
                .collect()
        });
        Self {
            topic,
            partition: message.partition(),
            offset: message.offset(),
            timestamp: Timestamp::from_millis(message.timestamp().to_millis().unwrap_or(0)),
            key: message.key().map(<[u8]>::to_vec),
            value: message.payload().map(<[u8]>::to_vec),
            headers: headers.unwrap_or_default(),
        }
    }
}
