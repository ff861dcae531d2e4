//! What the binaries say of themselves while they run, as an operator's Prometheus would read it.

use std::time::{Duration, Instant};

use super::flat::{Row, Stands, Unit};
use crate::pipeline::Pipeline;
use crate::processes::{Binary, ProcessError};

/// What the three showed at one moment.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Reading {
    at: Duration,
    /// In the order of [`Binary::ALL`].
    of: [Gauges; 3],
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct Gauges {
    resident: f64,
    handles: f64,
    threads: f64,
    /// Records that it has yet to read, and those that it has read and that wait in it.
    lag: f64,
}

impl Reading {
    /// # Errors
    /// When one does not answer: then it is not there any more.
    pub(super) fn take(pipeline: &mut Pipeline, began: Instant) -> Result<Self, ProcessError> {
        let at = began.elapsed();
        let [ingest, transform, deliver] = pipeline.processes().map(|process| {
            let metrics = process.metrics()?;
            let name = process.binary().name();
            let behind = ["lag", "waiting"].map(|what| format!("tributary_{name}_{what}_records"));
            Ok::<_, ProcessError>(Gauges {
                resident: metrics.sum("process_resident_memory_bytes", &[]),
                handles: metrics.sum("process_open_fds", &[]),
                threads: metrics.sum("process_threads", &[]),
                lag: behind.iter().map(|series| metrics.sum(series, &[])).sum(),
            })
        });
        Ok(Self { at, of: [ingest?, transform?, deliver?] })
    }

    /// For whoever watches.
    pub(super) fn line(&self) -> String {
        let each = Binary::ALL.iter().zip(&self.of).map(|(binary, gauges)| {
            let Gauges { resident, handles, lag, .. } = gauges;
            let mebibytes = resident / 1_048_576.0;
            format!("{} {mebibytes:.1} MiB, {handles} handles, lag {lag}", binary.name())
        });
        each.collect::<Vec<_>>().join("; ")
    }
}

/// A row of each gauge of each binary; what has no value in some quarter has none.
pub(super) fn rows(readings: &[Reading], length: Duration) -> Vec<Row> {
    type Gauge = (&'static str, Unit, Stands, fn(&Gauges) -> f64);
    let median = Stands::Percentile(50);
    let gauges: [Gauge; 4] = [
        ("memory, median", Unit::Bytes, median, |gauges| gauges.resident),
        ("file handles, most", Unit::Count, Stands::Highest, |gauges| gauges.handles),
        ("threads, most", Unit::Count, Stands::Highest, |gauges| gauges.threads),
        ("lag, median", Unit::Count, median, |gauges| gauges.lag),
    ];
    let mut rows = Vec::new();
    for (place, binary) in Binary::ALL.into_iter().enumerate() {
        for (name, unit, stands, gauge) in gauges {
            // It reads no topic.
            if binary == Binary::Ingest && name.starts_with("lag") {
                continue;
            }
            let values: Vec<(Duration, f64)> =
                readings.iter().map(|reading| (reading.at, gauge(&reading.of[place]))).collect();
            let name = format!("{}: {name}", binary.name());
            rows.extend(Row::new(name, (unit, stands), &values, length));
        }
    }
    rows
}
