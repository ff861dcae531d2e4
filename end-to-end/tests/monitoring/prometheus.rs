//! A real Prometheus on this machine, which looks after the three binaries of a pipeline with the rules of the project.

use std::time::{Duration, Instant};

use end_to_end::configuration::Listeners;
use end_to_end::pipeline::Pipeline;
use end_to_end::supervise::{Program, Supervised};
use end_to_end::{http, ports, preflight, workspace};
use serde_json::Value;

const READY_WITHIN: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(250);

/// Running. Dropping it ends it.
pub(crate) struct Prometheus {
    port: u16,
    process: Supervised,
}

impl Prometheus {
    /// Scrapes and evaluates every second, and keeps its data in the folder of the run.
    pub(crate) async fn start(pipeline: &Pipeline) -> Self {
        preflight::ensure(&[preflight::PROMETHEUS], &|_| ()).unwrap();
        let folder = &pipeline.setting.folder;
        let (port, configuration) = (ports::free().unwrap(), folder.join("prometheus.yaml"));
        std::fs::write(&configuration, scraping(pipeline.configuration.listeners)).unwrap();
        let process = Program::new("prometheus", folder.join("prometheus.log"))
            .arguments([format!("--config.file={}", configuration.display())])
            .arguments([format!("--storage.tsdb.path={}", folder.join("prometheus").display())])
            .arguments([format!("--web.listen-address=127.0.0.1:{port}")])
            .start()
            .unwrap();
        let mut prometheus = Self { port, process };
        let deadline = Instant::now() + READY_WITHIN;
        while !http::get(port, "/-/ready").is_ok_and(|(status, _)| status == 200) {
            let (ended, log) =
                (prometheus.process.ended().unwrap(), prometheus.process.last_words(10));
            assert!(ended.is_none() && Instant::now() < deadline, "not ready: {ended:?}\n{log}");
            tokio::time::sleep(POLL).await;
        }
        prometheus
    }

    /// The series that a query gives now, with their values.
    pub(crate) fn ask(&self, expression: &str) -> Vec<Value> {
        let answer = self.get(&format!("/api/v1/query?query={}", encoded(expression)));
        assert_eq!(answer["status"], "success", "{expression}: {answer}");
        answer["data"]["result"].as_array().unwrap().clone()
    }

    /// What Prometheus has to complain of about the rules.
    pub(crate) fn complaints(&self) -> Vec<String> {
        let answer = self.get("/api/v1/rules");
        let groups = answer["data"]["groups"].as_array().unwrap();
        let rules = groups.iter().flat_map(|group| group["rules"].as_array().unwrap());
        let unwell = rules.filter(|rule| rule["health"] == "err");
        unwell.map(|rule| format!("{}: {}", rule["name"], rule["lastError"])).collect()
    }

    /// Waits until nothing is left of what `left` tells, at most for `patience`; what is left then is given back.
    pub(crate) async fn until_nothing(
        &self,
        patience: Duration,
        left: impl Fn(&Self) -> Vec<String>,
    ) -> Vec<String> {
        let deadline = Instant::now() + patience;
        loop {
            let still = left(self);
            if still.is_empty() || Instant::now() >= deadline {
                return still;
            }
            tokio::time::sleep(POLL).await;
        }
    }

    fn get(&self, path: &str) -> Value {
        let (_, body) = http::get(self.port, path).unwrap();
        serde_json::from_str(&body).unwrap()
    }
}

fn scraping(listeners: Listeners) -> String {
    let Listeners { ingest, transform, deliver, .. } = listeners;
    let jobs =
        [("ingest", ingest), ("transform", transform), ("deliver", deliver)].map(|(job, port)| {
            format!(
                "  - job_name: {job}\n    static_configs: [{{ targets: ['127.0.0.1:{port}'] }}]\n"
            )
        });
    format!(
        "global: {{ scrape_interval: 1s, evaluation_interval: 1s }}\n\
         rule_files: ['{}']\n\
         scrape_configs:\n{}",
        workspace::root().join("deploy/prometheus/rules.yaml").display(),
        jobs.concat()
    )
}

/// Everything but letters and digits as `%XX`.
fn encoded(text: &str) -> String {
    let letters = text.bytes().map(|byte| match byte {
        byte if byte.is_ascii_alphanumeric() => char::from(byte).to_string(),
        byte => format!("%{byte:02X}"),
    });
    letters.collect()
}
