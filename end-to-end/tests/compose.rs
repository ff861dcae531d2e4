//! docker-compose.yml against what it starts: its jobs and services are run with the environment and the configuration
//! that it gives them, only that its host names stand for this machine.
#![expect(clippy::unwrap_used, reason = "in a test, what cannot be had fails it")]

use std::collections::BTreeMap;
use std::time::Duration;

use end_to_end::broker::{Broker, KAFKA_VERSION};
use end_to_end::compose::{self, Project, Service};
use end_to_end::destinations::Destinations;
use end_to_end::processes::{Binary, Setting};
use end_to_end::{registry, workspace};
use service::clock::{Clock, SystemClock};

const ENDS_WITHIN: Duration = Duration::from_mins(1);

/// The file with every profile.
fn project() -> Project {
    compose::read(&workspace::root().join(compose::FILE), &["*"], &|_| ()).unwrap()
}

/// Those that run one of our binaries, with it.
fn ours(project: &Project) -> BTreeMap<&str, (&Service, Binary)> {
    let binary = |service: &Service| {
        let target = &service.build.as_ref()?.target;
        Binary::ALL.into_iter().find(|binary| binary.name() == target)
    };
    let services = project.services.iter();
    services.filter_map(|(name, it)| Some((name.as_str(), (it, binary(it)?)))).collect()
}

/// What a service is told, with what stands for a place in compose's network replaced by what it is here.
fn environment(service: &Service, places: &[(&str, String)]) -> Vec<(String, String)> {
    let known =
        service.environment.iter().filter_map(|(name, value)| Some((name, value.as_ref()?)));
    let here = |value: &String| {
        places.iter().fold(value.clone(), |value, (there, here)| value.replace(there, here))
    };
    known.map(|(name, value)| (name.clone(), here(value))).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_jobs_create_what_the_services_need_with_what_compose_tells_them() {
    let broker = Broker::shared().unwrap();
    let destinations = Destinations::start().await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let places = [
        ("kafka:9092", broker.address().to_owned()),
        ("http://emulators:9201", destinations.customerio.base_url()),
        ("http://emulators:9202", destinations.intercom.base_url()),
        ("/state", folder.path().join("state").display().to_string()),
    ];
    let project = project();
    let prefix = format!("compose-{:x}.", SystemClock::new().now_millis());
    let run = |name: &str, command: &'static str| {
        let services = ours(&project);
        let (service, binary) = services[name];
        let mut environment = environment(service, &places);
        for (there, here) in &places {
            assert!(environment.iter().any(|(_, value)| value.contains(here)), "{name}: {there}");
        }
        environment.push(("TRIBUTARY__KAFKA__TOPIC_PREFIX".to_owned(), prefix.clone()));
        let configuration = workspace::root().join("tributary.yaml");
        let setting = Setting {
            configuration,
            folder: folder.path().to_path_buf(),
            environment,
            binaries: None,
        };
        setting.command(binary, command, ENDS_WITHIN)
    };
    assert!(run("ingest", "check").is_err(), "the topics are not there yet");
    // In the order in which compose lets one wait for the other.
    for job in ["topics", "attributes"] {
        assert_eq!(project.services[job].command.as_deref(), Some(&["setup".to_owned()][..]));
        run(job, "setup").unwrap();
    }
    for service in ["ingest", "transform", "deliver"] {
        assert_eq!(project.services[service].command, None);
        run(service, "check").unwrap();
    }
}

#[test]
fn each_service_is_mounted_asked_and_published_as_its_binary_expects() {
    let project = project();
    let services = ours(&project);
    let names: Vec<_> = services.keys().copied().collect();
    assert_eq!(names, ["attributes", "deliver", "ingest", "topics", "transform"]);
    let shipped = std::fs::read_to_string(workspace::root().join("tributary.yaml")).unwrap();
    let scraped = workspace::root().join("deploy/prometheus/prometheus.yaml");
    let scraped = std::fs::read_to_string(scraped).unwrap();
    for (name, (service, binary)) in services {
        let mounted: Vec<_> = service.volumes.iter().map(|it| it.target.as_str()).collect();
        assert!(mounted.contains(&"/tributary.yaml"), "{name}: {mounted:?}");
        assert_eq!(mounted.contains(&"/state"), name == "transform", "{name}: {mounted:?}");
        if name != binary.name() {
            continue;
        }
        let asked = &service.healthcheck.as_ref().unwrap().test;
        assert_eq!(asked, &["CMD", &format!("/{name}"), "healthcheck"]);
        let admin = service.ports.last().unwrap().target;
        assert!(shipped.contains(&format!("admin: 0.0.0.0:{admin}")), "{name}: {admin}");
        assert!(scraped.contains(&format!("targets: [\"{name}:{admin}\"]")), "{name}: {admin}");
    }
}

#[test]
fn compose_runs_the_releases_that_the_tests_run() {
    let services = project().services;
    assert_eq!(services["kafka"].image, format!("apache/kafka:{KAFKA_VERSION}"));
    let registry = format!("apicurio/apicurio-registry-kafkasql:{}", registry::APICURIO_VERSION);
    assert_eq!(services["registry"].image, registry);
}

#[test]
fn one_file_starts_the_registry_and_lets_every_service_use_it() {
    let root = workspace::root();
    let switch = root.join("deploy/compose/registry.env");
    let with = compose::read_with(&root.join(compose::FILE), &switch, &|_| ()).unwrap();
    let port = with.services["registry"].ports[0].target;
    let url = format!("http://registry:{port}{}", registry::API);
    for (name, (service, _)) in ours(&with) {
        let told = &service.environment["TRIBUTARY__SCHEMA_REGISTRY__URL"];
        assert_eq!(told.as_deref(), Some(url.as_str()), "{name}");
    }
    let without = compose::read(&root.join(compose::FILE), &[], &|_| ()).unwrap();
    assert!(!without.services.contains_key("registry"));
    for (name, (service, _)) in ours(&without) {
        assert_eq!(service.environment["TRIBUTARY__SCHEMA_REGISTRY__URL"], None, "{name}");
    }
}
