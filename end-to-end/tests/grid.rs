//! Every kind of fault at a destination, while `deliver` runs, is killed, or shares its work with an instance that
//! comes and goes: nothing is lost, nothing takes effect twice, nobody's order changes, everything is accounted for,
//! and the other destination never notices.
//!
//! A run takes every fault once, each in one manner, and each manner once without a fault, to compare with;
//! `TRIBUTARY_TEST_SEED` from 0 to 5 chooses others, and `TRIBUTARY_LONG_TESTS` takes all, with outages as long as
//! real ones.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "in a test, what cannot be had fails it; what was seen is told"
)]

mod account;
mod cell;
mod trouble;

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use end_to_end::broker::Broker;

use crate::grid::cell::{Cell, Report, cells};
use crate::grid::trouble::{MANNERS, Trouble};

/// Cells that run side by side: most of their time is waiting.
const SIDE_BY_SIDE: usize = 3;
/// How much longer 99 of 100 events may take at a destination while another is in trouble.
const NOTICEABLE: f64 = 1.2;
/// How often a cell that is too slow is measured again.
const REPETITIONS: usize = 2;

#[test]
fn no_trouble_at_a_destination_loses_repeats_or_reorders_anything_or_delays_another() {
    let seed = match std::env::var("TRIBUTARY_TEST_SEED") {
        Ok(told) => told.parse().expect("TRIBUTARY_TEST_SEED is a number"),
        Err(_) => 1,
    };
    let broker = Broker::shared().expect("a broker to test against");
    let all = cells(seed, std::env::var_os("TRIBUTARY_LONG_TESTS").is_some());
    let cells = Mutex::new(all.into_iter());
    let next = || cells.lock().unwrap_or_else(PoisonError::into_inner).next();
    let run = |cell: Cell| {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let report = runtime.block_on(cell.withstand(broker, seed));
        println!("{report}");
        report
    };
    // One that fails says why by itself, and the others go on.
    let runs = || -> Vec<_> {
        let run = |cell| std::thread::scope(|scope| scope.spawn(|| run(cell)).join());
        std::iter::from_fn(next).map(|cell| run(cell).map_err(|_| cell)).collect()
    };
    let outcomes: Vec<Result<Report, Cell>> = std::thread::scope(|scope| {
        let running: Vec<_> = (0..SIDE_BY_SIDE).map(|_| scope.spawn(runs)).collect();
        running.into_iter().flat_map(|runs| runs.join().unwrap()).collect()
    });
    let (reports, failed): (Vec<_>, Vec<_>) = outcomes.into_iter().partition(Result::is_ok);
    let reports: Vec<_> = reports.into_iter().flatten().collect();
    let failed: Vec<_> = failed.into_iter().filter_map(Result::err).collect();
    assert!(failed.is_empty(), "{failed:#?}");
    for manner in MANNERS {
        let own = reports.iter().filter(|report| report.cell.manner == manner).cloned().collect();
        the_other_destination_is_as_fast_as_ever(own, run);
    }
}

/// Compares the cells of one manner: a destination while the other is in trouble with the same where none is.
///
/// A time is counted from the acceptance of the webhook, so that the reorder window is in it. Kills and an instance
/// that comes and goes hold up both destinations, for as long as the group misses a member and a successor waits:
/// nearly all of the time in those manners is that, and hence they are compared with themselves.
///
/// What else the machine has to do only ever adds to a time, so a cell that is too slow is measured again, and the
/// least of three counts; were it the trouble that is slow, it would be so again.
fn the_other_destination_is_as_fast_as_ever(reports: Vec<Report>, run: impl Fn(Cell) -> Report) {
    let (calm, troubled): (Vec<_>, Vec<_>) =
        reports.into_iter().partition(|report| report.cell.trouble == Trouble::Nothing);
    let calm = calm.into_iter().next().expect("the cell to compare with");
    for report in troubled {
        let other = report.cell.at.other();
        let usual = calm.at(other).latencies.percentile(99);
        let limit = usual.mul_f64(NOTICEABLE);
        let p99 = |report: &Report| -> Duration { report.at(other).latencies.percentile(99) };
        let mut least = p99(&report);
        for _ in 0..REPETITIONS {
            if least > limit {
                println!("measured again, having taken {least:?} and not {usual:?}: {report}");
                least = least.min(p99(&run(report.cell)));
            }
        }
        assert!(least <= limit, "{report}: {least:?} at {other:?} is not as fast as {usual:?}");
    }
}
