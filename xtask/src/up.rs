//! `cargo xtask up`: the pipeline for your own webhooks, until Ctrl-C.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result};
use end_to_end::configuration::Receiver;
use end_to_end::journeys::Provider;
use end_to_end::pipeline::{self, Pipeline, Receivers};
use end_to_end::sign;

use crate::demo;
use crate::display::{Steps, say};
use crate::reload::{self, Handler};

/// Longer than the binaries' own time to drain.
const STOPS_WITHIN: Duration = Duration::from_secs(40);

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// A JavaScript file that says what Customer.io is sent; `deliver` follows its changes
    #[arg(long, value_name = "FILE")]
    transform: Option<PathBuf>,
}

#[tokio::main]
pub(crate) async fn run(arguments: &Arguments) -> Result<ExitCode> {
    let steps = Steps::new();
    let mut handler = arguments.transform.as_deref().map(Handler::of).transpose()?;
    let environment = handler.iter().map(Handler::environment).collect();
    let receivers = Receivers::RealWhereConfigured;
    let (_broker, mut pipeline) = demo::start(&steps, "up", receivers, environment).await?;
    steps.finish();
    explain(&pipeline);
    let mut ended = std::pin::pin!(tokio::signal::ctrl_c());
    loop {
        tokio::select! {
            ended = &mut ended => {
                ended.context("waiting for Ctrl-C")?;
                break;
            }
            () = tokio::time::sleep(reload::LOOK_EVERY), if handler.is_some() => {
                if let Some(handler) = &mut handler {
                    handler.follow(&mut pipeline.deliver, STOPS_WITHIN)?;
                }
            }
        }
    }
    say("\nstopping");
    for process in pipeline.processes() {
        process.terminate(STOPS_WITHIN)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn explain(pipeline: &Pipeline) {
    let port = pipeline.configuration.listeners.webhooks;
    say("\nWebhooks go to");
    for provider in Provider::ALL {
        say(&format!("  http://127.0.0.1:{port}/webhooks/{}", provider.source()));
    }
    say(&format!("signed with the secrets in {}", pipeline.setting.configuration.display()));
    say("\nFor example, as Purchasely signs (needs openssl):");
    say(&example(port));
    say("\nWhat arrived:");
    let arrivals = [
        ("Customer.io", &pipeline.configuration.customerio),
        ("Intercom", &pipeline.configuration.intercom),
    ];
    for (name, receiver) in arrivals {
        match receiver {
            Receiver::Emulator { base_url } => {
                say(&format!("  curl -s {base_url}/__emulator/state   # {name}, emulated"));
            }
            Receiver::Real => say(&format!(
                "  in your own {name} workspace (region us; see region in docs/configuration.md)"
            )),
        }
    }
    say(&format!("\nlogs: {}", pipeline::logs(&pipeline.setting.folder)));
    say("Ctrl-C ends everything.");
}

/// A signed webhook by hand.
fn example(port: u16) -> String {
    let secret = sign::PURCHASELY_SECRET;
    format!(
        r#"  now=$(date +%s)
  body='{{"api_version":3,"event_name":"SUBSCRIPTION_STARTED","event_id":"hello-'$now'","event_created_at_ms":'$now'000,"user_id":"me","product":"APP_PLUS","plan":"monthly","store":"APPLE_APP_STORE","environment":"PRODUCTION","purchase_type":"RENEWING_SUBSCRIPTION","subscription_status":"AUTO_RENEWING","offer_type":"NONE","purchasely_subscription_id":"subs_me"}}'
  signature=$(printf '%s%s' "$now" "$body" | openssl dgst -sha256 -hmac {secret} -r | cut -d' ' -f1)
  curl -si http://127.0.0.1:{port}/webhooks/purchasely -H 'content-type: application/json' \
    -H "x-purchasely-timestamp: $now" -H "x-purchasely-request-signature: $signature" -d "$body""#
    )
}
