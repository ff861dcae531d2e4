//! Does what was asked for, and says what came of it.

use std::io::{IsTerminal, Write};
use std::sync::Arc;

use indicatif::{ProgressBar, ProgressStyle};
use schemas::Timestamp;
use schemas::headers::Disposal;
use serde_json::json;
use service::cli::say;
use service::clock::Clock;
use service::config::Rate;
use service::exit::Failure;
use stream::{Cluster, Reader, Transactions};
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use crate::arguments::{Action, Arguments, Choice, Filter, List, Show};
use crate::disposal::Disposer;
use crate::error::DeadError;
use crate::letter::Letter;
use crate::pace::Pace;
use crate::plan::{Plan, oldest_first, plan};
use crate::survey::Survey;
use crate::{Stage, present};

/// What the commands work with.
#[derive(Clone, Debug)]
pub struct Surroundings {
    /// Where the topics are.
    pub cluster: Cluster,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// Cancelled when the process is asked to end.
    pub shutdown: CancellationToken,
}

/// Does what was asked for with the dead letters of each of `stages`.
///
/// # Errors
/// When not all of it could be done. What was done before stands.
pub async fn execute(
    arguments: Arguments,
    stages: Vec<Box<dyn Stage>>,
    around: Surroundings,
) -> Result<(), Failure> {
    let work = move || {
        let commands = Commands { around, format: Format::of(arguments.json) };
        match arguments.action {
            Action::List(list) => commands.each(&stages, |stage| commands.list(stage, &list)),
            Action::Show(show) => commands.show(the_only(&stages)?, &show),
            Action::Redrive(redrive) => {
                judge_positions(&stages, &redrive.choice)?;
                let change = Change { disposal: Disposal::Redriven, rate: Some(redrive.rate) };
                let consent = if redrive.dry_run { Consent::DryRun } else { Consent::Given };
                commands.each(&stages, |stage| {
                    commands.dispose(stage, change, &redrive.choice, consent)
                })
            }
            Action::Discard(discard) => {
                judge_positions(&stages, &discard.choice)?;
                let change = Change { disposal: Disposal::Discarded, rate: None };
                let consent = match (discard.dry_run, discard.yes) {
                    (true, _) => Consent::DryRun,
                    (false, true) => Consent::Given,
                    (false, false) => Consent::Asked,
                };
                commands.each(&stages, |stage| {
                    commands.dispose(stage, change, &discard.choice, consent)
                })
            }
        }
    };
    tokio::task::spawn_blocking(work).await.map_err(Failure::failed)?
}

/// A position means another letter in every topic.
fn the_only(stages: &[Box<dyn Stage>]) -> Result<&dyn Stage, DeadError> {
    if let [stage] = stages {
        return Ok(stage.as_ref());
    }
    let names: Vec<_> = stages.iter().map(|stage| stage.name()).collect();
    Err(DeadError::Usage(format!(
        "a position means another letter at each destination: say which with --destination ({})",
        names.join(", ")
    )))
}

fn judge_positions(stages: &[Box<dyn Stage>], choice: &Choice) -> Result<(), DeadError> {
    if choice.positions.is_empty() { Ok(()) } else { the_only(stages).map(drop) }
}

#[derive(Clone, Copy)]
enum Format {
    Text,
    Json,
}

impl Format {
    fn of(json: bool) -> Self {
        if json { Self::Json } else { Self::Text }
    }
}

/// What is to be done with letters, and how fast.
#[derive(Clone, Copy)]
struct Change {
    disposal: Disposal,
    rate: Option<Rate>,
}

/// Whether a change may be made.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Consent {
    Given,
    Asked,
    DryRun,
}

/// What is told of a change.
struct Told<'a> {
    stage: &'a dyn Stage,
    plan: &'a Plan,
    caution: Option<String>,
    disposal: Disposal,
}

struct Commands {
    around: Surroundings,
    format: Format,
}

impl Commands {
    /// All of them, also when one fails; the first failure is the outcome, later ones are logged.
    fn each(
        &self,
        stages: &[Box<dyn Stage>],
        act: impl Fn(&dyn Stage) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let mut outcome = Ok(());
        for stage in stages {
            if self.around.shutdown.is_cancelled() {
                let message =
                    format!("asked to end before {}; the same command goes on", stage.name());
                return outcome.and(Err(DeadError::Incomplete(message).into()));
            }
            if let Err(failure) = act(stage.as_ref()) {
                if outcome.is_err() {
                    tracing::error!("{}", failure.report());
                } else {
                    outcome = Err(failure);
                }
            }
        }
        outcome
    }

    fn list(&self, stage: &dyn Stage, list: &List) -> Result<(), Failure> {
        let reader = self.reader(stage)?;
        let survey = Survey { reader: &reader, stage };
        let mut letters = survey.letters(|letter| list.filter.admits(letter))?;
        judge_reasons(stage, &list.filter, &letters)?;
        letters.retain(|letter| list.all || letter.dealt.is_none());
        self.tell_letters(stage, &oldest_first(letters, list.limit))
    }

    fn tell_letters(&self, stage: &dyn Stage, letters: &[Letter]) -> Result<(), Failure> {
        match self.format {
            Format::Text => {
                present::table(stage.name(), letters).iter().try_for_each(|line| say(line))
            }
            Format::Json => letters
                .iter()
                .try_for_each(|letter| say(&present::object(stage.name(), letter).to_string())),
        }
    }

    fn show(&self, stage: &dyn Stage, show: &Show) -> Result<(), Failure> {
        let reader = self.reader(stage)?;
        let survey = Survey { reader: &reader, stage };
        let (letter, received) = survey.letter(show.position)?;
        let body =
            show.body.then(|| received.value.as_deref().and_then(|value| stage.legible(value)));
        match self.format {
            Format::Text => {
                let lines = present::full(&letter, &received, body);
                lines.iter().try_for_each(|line| say(line))
            }
            Format::Json => {
                say(&present::full_object(stage.name(), &letter, &received, body).to_string())
            }
        }
    }

    fn dispose(
        &self,
        stage: &dyn Stage,
        change: Change,
        choice: &Choice,
        consent: Consent,
    ) -> Result<(), Failure> {
        // First of all: whoever worked on these letters until now is done or fenced, so that what is
        // read after this is all there is.
        let transactions = match consent {
            Consent::DryRun => None,
            Consent::Given | Consent::Asked => Some(self.transactions(stage)?),
        };
        let reader = self.reader(stage)?;
        let survey = Survey { reader: &reader, stage };
        let letters = survey.letters(|letter| choice.admits(letter))?;
        judge_reasons(stage, &choice.filter, &letters)?;
        let partitions = reader.partitions(stage.target()).map_err(DeadError::from)?;
        let plan = plan(letters, choice, |letter| match change.disposal {
            Disposal::Redriven => obstacle(stage, letter, partitions),
            Disposal::Discarded => None,
        });
        let now = Timestamp::from_millis(self.around.clock.now_millis());
        let caution = match change.disposal {
            Disposal::Redriven => caution(stage, &plan.going, now),
            Disposal::Discarded => None,
        };
        let told = Told { stage, plan: &plan, caution, disposal: change.disposal };
        let Some(transactions) = transactions else {
            self.tell_letters(stage, &plan.going)?;
            self.foretell(&told)?;
            return self.conclude(&told, None);
        };
        self.foretell(&told)?;
        if consent == Consent::Asked && !plan.going.is_empty() {
            ask(stage, &plan.going, &self.around.shutdown)?;
        }
        let mut disposer = Disposer {
            stage,
            reader: &reader,
            transactions,
            clock: self.around.clock.as_ref(),
            pace: Pace::new(change.rate),
            shutdown: &self.around.shutdown,
        };
        let bar = bar(plan.going.len());
        let progress = |done| bar.set_position(u64::try_from(done).unwrap_or(u64::MAX));
        let done = disposer.dispose(change.disposal, &plan.going, &progress);
        bar.finish_and_clear();
        self.conclude(&told, Some(done?))
    }

    /// Says to people, before anything is done, what speaks against it and what is left out.
    fn foretell(&self, told: &Told<'_>) -> Result<(), Failure> {
        match self.format {
            Format::Text => {
                if let Some(caution) = &told.caution {
                    say(&format!("{}: warning: {caution}", told.stage.name()))?;
                }
                present::staying(&told.plan.staying).iter().try_for_each(|line| say(line))
            }
            // One object tells all of it at the end.
            Format::Json => Ok(()),
        }
    }

    /// Says what was done, and fails when that was not all.
    fn conclude(&self, told: &Told<'_>, done: Option<usize>) -> Result<(), Failure> {
        let Told { stage, plan, caution, disposal: word } = told;
        let (total, name) = (plan.going.len(), stage.name());
        match self.format {
            Format::Text => say(&match done {
                None => format!("{name}: would be {word}: {}", present::summary(&plan.going)),
                Some(done) => format!("{name}: {done} of {} {word}", present::letters_of(total)),
            })?,
            Format::Json => {
                let staying = plan.staying.iter().map(
                    |one| json!({"position": one.position.to_string(), "because": one.because}),
                );
                let mut object = json!({
                    "of": name, "chosen": total, "dry_run": done.is_none(), "warning": caution,
                    "staying": staying.collect::<Vec<_>>(),
                });
                object[word.to_string().as_str()] = done.into();
                say(&object.to_string())?;
            }
        }
        let left = done.map_or(0, |done| total - done);
        if left > 0 {
            let message = format!("{name}: {left} of {total} are left; the same command goes on");
            return Err(DeadError::Incomplete(message).into());
        }
        match plan.staying.len() {
            0 => Ok(()),
            stay => {
                let message = format!("{name}: {} cannot be {word}", present::letters_of(stay));
                Err(DeadError::Incomplete(message).into())
            }
        }
    }

    fn reader(&self, stage: &dyn Stage) -> Result<Reader, Failure> {
        Ok(Reader::open(&self.around.cluster, stage.identity()).map_err(DeadError::from)?)
    }

    fn transactions(&self, stage: &dyn Stage) -> Result<Transactions, Failure> {
        let failed = |cause| DeadError::transaction(stage.topic(), cause);
        Ok(Transactions::open(&self.around.cluster, stage.identity()).map_err(failed)?)
    }
}

/// Why this letter cannot go back.
fn obstacle(stage: &dyn Stage, letter: &Letter, partitions: i32) -> Option<String> {
    let end = match &letter.end {
        Ok(end) => end,
        Err(error) => return Some(format!("it is not from {}: {error}", stage.name())),
    };
    if !(0..partitions).contains(&end.partition) {
        return Some(format!("{} has no partition {}", stage.target(), end.partition));
    }
    stage.obstacle(letter).map(str::to_owned)
}

/// A reason that no version ever had is a slip of the pen, and would look like an empty list.
fn judge_reasons(stage: &dyn Stage, filter: &Filter, letters: &[Letter]) -> Result<(), DeadError> {
    let known = stage.reasons();
    let possible = |wanted: &String| {
        let found = letters.iter().any(|letter| letter.reason() == Some(wanted));
        found || known.contains(&wanted.as_str())
    };
    match filter.reason.iter().find(|wanted| !possible(wanted)) {
        None => Ok(()),
        Some(unknown) => Err(DeadError::Usage(format!(
            "no dead letter of {} has the reason {unknown}; reasons are {}",
            stage.name(),
            known.join(", ")
        ))),
    }
}

fn caution(stage: &dyn Stage, letters: &[Letter], now: Timestamp) -> Option<String> {
    let cautions: Vec<_> =
        letters.iter().filter_map(|letter| stage.caution(letter.age(now))).collect();
    cautions.first().map(|caution| format!("{}: {caution}", present::letters_of(cautions.len())))
}

/// Whoever is asked may also end the process instead.
fn ask(
    stage: &dyn Stage,
    letters: &[Letter],
    shutdown: &CancellationToken,
) -> Result<(), DeadError> {
    if !std::io::stdin().is_terminal() {
        let message = "nobody can be asked whether to discard: say --yes";
        return Err(DeadError::Usage(message.to_owned()));
    }
    let mut told = std::io::stderr();
    write!(told, "Discard {} of {}? Type yes: ", present::summary(letters), stage.name())
        .and_then(|()| told.flush())
        .map_err(DeadError::Terminal)?;
    let (answering, answered) = tokio::sync::oneshot::channel();
    // Nothing interrupts the reading of a line, hence a thread that the process does not wait for.
    std::thread::spawn(move || {
        let mut answer = String::new();
        let read = std::io::stdin().read_line(&mut answer).map(|_| answer);
        drop(answering.send(read));
    });
    let answer = Handle::current().block_on(shutdown.run_until_cancelled(answered));
    let answer = answer.and_then(Result::ok).transpose().map_err(DeadError::Terminal)?;
    if answer.is_some_and(|answer| answer.trim() == "yes") {
        return Ok(());
    }
    Err(DeadError::Incomplete("nothing was discarded".to_owned()))
}

/// On a terminal; elsewhere nothing is drawn.
fn bar(total: usize) -> ProgressBar {
    let bar = ProgressBar::new(u64::try_from(total).unwrap_or(u64::MAX));
    let template = "{elapsed:>6} {wide_bar} {pos}/{len}, {eta} left";
    bar.with_style(
        ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()),
    )
}
