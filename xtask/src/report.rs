//! What the demo says at the end: the figures, one person's story, the verdict.

use end_to_end::judge::Finding;
use end_to_end::metrics::Metrics;
use end_to_end::pipeline::Pipeline;
use end_to_end::processes::{Binary, Process};

use crate::demo::Run;
use crate::display::say;

/// Prints everything; true when nothing was lost, doubled or out of order.
pub(crate) fn print(run: &Run, pipeline: &mut Pipeline) -> bool {
    figures(run, pipeline);
    story(run, pipeline);
    say("");
    for finding in &run.findings {
        say(&finding.to_string());
    }
    let refused = run.tally.all_refused();
    if refused > 0 {
        say(&format!("{refused} webhooks were refused, by status: {:?}", run.tally.refused));
    }
    let flawless = refused == 0 && run.findings.iter().all(Finding::is_flawless);
    say(if flawless {
        "\nEverything arrived once and in order."
    } else {
        "\nSomething was lost, doubled, out of order or wrong; see above."
    });
    flawless
}

fn figures(run: &Run, pipeline: &Pipeline) {
    let transform = counts(&pipeline.transform);
    let deliver = counts(&pipeline.deliver);
    let lifecycle: usize = run
        .journeys
        .iter()
        .flat_map(|journey| &journey.webhooks)
        .map(|webhook| webhook.expects.len())
        .sum();
    let by_source: Vec<String> = run
        .tally
        .accepted
        .iter()
        .map(|(provider, count)| format!("{} {count}", provider.source()))
        .collect();
    say("");
    let total = |name| whole(transform.sum(name, &[]));
    let (sent, people, disordered) = (run.sent, run.journeys.len(), run.disordered);
    row("sent", &format!("{sent} webhooks of {people} subscribers, {disordered} out of order"));
    row("accepted", &format!("{} ({})", run.tally.all_accepted(), by_source.join(", ")));
    row("unique", &run.unique.to_string());
    row("duplicates removed", &total("tributary_transform_duplicates_total"));
    let ignored = total("tributary_transform_ignored_total");
    row(
        "ignored",
        &format!("{ignored} that mean nothing to a subscriber, their duplicates included"),
    );
    row("reordered", &total("tributary_transform_reordered_total"));
    let emitted = total("tributary_transform_events_total");
    row("lifecycle events", &format!("{emitted} emitted, {lifecycle} expected"));
    row("parked by transform", &total("tributary_transform_parked_total"));
    for finding in &run.findings {
        let label = format!("destination=\"{}\"", finding.destination);
        let of = |name| whole(deliver.sum(name, &[&label]));
        let delivered = of("tributary_deliver_delivered_total");
        let skipped = of("tributary_deliver_skipped_total");
        let shown = finding.shown;
        let text = format!("{delivered} delivered ({shown} shown as events), {skipped} skipped");
        row(&format!("at {}", finding.destination), &text);
    }
    row("parked by deliver", &whole(deliver.sum("tributary_deliver_parked_total", &[])));
}

/// A binary that does not answer any more shows zeros; the verdict comes from the destinations.
fn counts(process: &Process) -> Metrics {
    process.metrics().unwrap_or_default()
}

fn row(title: &str, value: &str) {
    say(&format!("{title:<20} {value}"));
}

fn whole(count: f64) -> String {
    format!("{count:.0}")
}

/// The longest story, as `deliver trace` tells it.
fn story(run: &Run, pipeline: &Pipeline) {
    let Some(journey) = run.journeys.iter().max_by_key(|journey| journey.shown().len()) else {
        return;
    };
    say(&format!("\nOne story ({}), as `deliver trace` tells it:\n", journey.story));
    match pipeline.setting.told(Binary::Deliver, "trace", &[&journey.subscriber]) {
        Ok(told) => say(told.trim_end()),
        Err(error) => say(&error.to_string()),
    }
}
