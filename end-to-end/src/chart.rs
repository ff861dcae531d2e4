//! The Helm chart as others see it: rendered by Helm, which a Python package brings along, and read as what its pods are
//! given.
//!
//! The scripts in `deploy/helm/check` render and judge; this module runs them and takes a container's arguments,
//! variables and configuration out of what came, so that the real binaries can be started as Kubernetes would.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::broker::{Operation, Resource, Right};
use crate::python::{self, PythonError};
use crate::{Narrate, workspace};

/// Helm 4, the schemas of Kubernetes, and what judges by them.
const PACKAGES: [&str; 4] = [
    "helm-python-sdk==0.2.2",
    "kubernetes-validate==1.37.0",
    "jsonschema==4.26.0",
    "PyYAML==6.0.3",
];

/// Why there is nothing to look at.
#[derive(Debug, thiserror::Error)]
pub enum ChartError {
    #[error(transparent)]
    Python(#[from] PythonError),
    #[error("starting the checks of the chart failed")]
    Io(#[source] std::io::Error),
    #[error("the chart cannot be rendered:\n{0}")]
    Rendering(String),
    #[error("what was rendered is no JSON")]
    Json(#[from] serde_json::Error),
}

/// A script of `deploy/helm/check` with the packages it needs (fetched the first time).
///
/// # Errors
/// When Python is missing, or the packages cannot be fetched.
pub fn command(script: &str, narrate: Narrate<'_>) -> Result<Command, PythonError> {
    let environment = python::environment(&PACKAGES, narrate)?;
    let mut command = Command::new(python::interpreter(&environment));
    // Nothing is left behind beside the scripts.
    command.arg("-B").arg(folder().join("check").join(script)).current_dir(workspace::root());
    Ok(command)
}

/// Where the chart and its checks lie.
pub fn folder() -> PathBuf {
    workspace::root().join("deploy").join("helm")
}

/// What a file of values makes of the chart.
#[derive(Debug, Clone)]
pub struct Rendered(Vec<Value>);

/// What a container is started with, as far as the chart says it. A variable whose value comes from elsewhere has none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Container {
    pub arguments: Vec<String>,
    pub variables: BTreeMap<String, Option<String>>,
}

impl Rendered {
    /// Every case of the matrix, by name.
    ///
    /// # Errors
    /// When the chart cannot be rendered.
    pub fn matrix() -> Result<BTreeMap<String, Self>, ChartError> {
        let cases: BTreeMap<String, Vec<Value>> = serde_json::from_slice(&printed(&["matrix"])?)?;
        Ok(cases.into_iter().map(|(name, objects)| (name, Self(objects))).collect())
    }

    /// The chart with these values.
    ///
    /// # Errors
    /// When the chart refuses them, or cannot be rendered.
    pub fn with_values(file: &Path) -> Result<Self, ChartError> {
        let objects = printed(&["render", &file.display().to_string()])?;
        Ok(Self(serde_json::from_slice(&objects)?))
    }

    /// The objects of a kind.
    pub fn of_kind(&self, kind: &str) -> impl Iterator<Item = &Value> {
        self.0.iter().filter(move |object| object["kind"] == kind)
    }

    /// What the users at Kafka are made with: every right of every one of them.
    ///
    /// # Errors
    /// When a right is of a kind that is not known here.
    pub fn rights(&self) -> Result<Vec<Right>, ChartError> {
        let mut rights = Vec::new();
        for user in self.of_kind("KafkaUser") {
            let name = user["metadata"]["name"].as_str().unwrap_or_default();
            for entry in user["spec"]["authorization"]["acls"].as_array().into_iter().flatten() {
                let resource: Resource = serde_json::from_value(entry["resource"].clone())?;
                let operations: Vec<Operation> =
                    serde_json::from_value(entry["operations"].clone())?;
                rights.extend(operations.into_iter().map(|operation| Right {
                    user: name.to_owned(),
                    resource: resource.clone(),
                    operation,
                }));
            }
        }
        Ok(rights)
    }

    /// The text of the configuration that the binaries are given.
    pub fn configuration(&self) -> Option<&str> {
        self.of_kind("ConfigMap").find_map(|map| map["data"]["tributary.yaml"].as_str())
    }

    /// Files with transformation code that the pods of `deliver` are given, by name.
    pub fn handlers(&self) -> impl Iterator<Item = (&str, &str)> {
        let is_theirs =
            |map: &&Value| map["metadata"]["name"].as_str() == Some("stream-tributary-handlers");
        let files =
            self.of_kind("ConfigMap").find(is_theirs).and_then(|map| map["data"].as_object());
        files.into_iter().flatten().filter_map(|(name, text)| Some((name.as_str(), text.as_str()?)))
    }

    /// What the container of this name is started with that is given this command, in whichever pod it is.
    pub fn container(&self, name: &str, command: &str) -> Option<Container> {
        let pods = self.0.iter().map(|object| match object["kind"].as_str() {
            Some("Pod") => &object["spec"],
            _ => &object["spec"]["template"]["spec"],
        });
        let container = pods
            .flat_map(|pod| [&pod["initContainers"], &pod["containers"]])
            .filter_map(Value::as_array)
            .flatten()
            .find(|container| container["name"] == name && container["args"][0] == command)?;
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let list = |key: &str| container[key].as_array().cloned().unwrap_or_default();
        Some(Container {
            arguments: list("args").iter().filter_map(text).collect(),
            variables: list("env")
                .iter()
                .filter_map(|each| Some((text(&each["name"])?, text(&each["value"]))))
                .collect(),
        })
    }
}

fn printed(arguments: &[&str]) -> Result<Vec<u8>, ChartError> {
    let output = command("check.py", &|_| ())?
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .map_err(ChartError::Io)?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    Err(ChartError::Rendering(String::from_utf8_lossy(&output.stderr).into_owned()))
}
