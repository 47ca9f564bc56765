//! helm, and what it makes of a chart with one of the value sets in its `ci` folder.

use std::path::{Path, PathBuf};

use serde_json::Value;
use tokio::process::Command;
use tunnel_integration::harness::{
    binaries::tool,
    command::{Ended, ended},
};

/// Every chart that can be installed.
pub(super) const CHARTS: [&str; 4] =
    ["tunnel-client", "tunnel-broker", "tunnel-client-crds", "example-engine"];

/// What they are made with.
pub(super) const LIBRARIES: [&str; 2] = ["postern-sidecar", "postern-common"];

/// A chart with a set of values.
#[derive(Debug, Clone)]
pub(super) struct Case {
    pub(super) chart: &'static str,
    pub(super) values: String,
}

/// All charts with all their value sets.
pub(super) fn cases() -> Vec<Case> {
    let sets = |chart: &'static str| {
        let files = std::fs::read_dir(Path::new(&folder(chart)).join("ci")).unwrap();
        let names = files.map(|file| file.unwrap().file_name().into_string().unwrap());
        let mut sets: Vec<_> = names.map(|name| name.replace("-values.yaml", "")).collect();
        sets.sort_unstable();
        sets.into_iter().map(move |set| Case::new(chart, &set))
    };
    CHARTS.into_iter().flat_map(sets).collect()
}

/// The folder of a chart.
pub(super) fn folder(chart: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../helm").join(chart).display().to_string()
}

/// Runs the pinned helm, however it ends.
pub(super) async fn helm(words: &[String]) -> Ended {
    let mut command = Command::new(tool("helm").unwrap());
    // Nothing of a user's own helm counts.
    command.args(words).env("HOME", std::env::temp_dir()).env_remove("KUBECONFIG");
    ended(command).await.unwrap()
}

impl Case {
    pub(super) fn new(chart: &'static str, values: &str) -> Self {
        Self { chart, values: values.to_owned() }
    }

    /// The file with its values.
    pub(super) fn file(&self) -> PathBuf {
        Path::new(&folder(self.chart)).join("ci").join(format!("{}-values.yaml", self.values))
    }

    /// `helm VERB`, this chart, its values, and more words.
    pub(super) fn words(&self, verb: &str, more: &[&str]) -> Vec<String> {
        let release = (verb == "template").then_some("x".to_owned());
        let fixed = [folder(self.chart), "--values".to_owned(), self.file().display().to_string()];
        let words = std::iter::once(verb.to_owned()).chain(release).chain(fixed);
        words.chain(more.iter().map(|word| (*word).to_owned())).collect()
    }

    /// Renders it with more words, however that ends.
    pub(super) async fn run(&self, more: &[&str]) -> Ended {
        helm(&self.words("template", more)).await
    }

    /// The text that it renders.
    pub(super) async fn text(&self) -> String {
        let ended = self.run(&[]).await;
        assert_eq!(ended.code, Some(0), "{self:?}: {}", ended.stderr);
        ended.stdout
    }

    /// The objects that it renders.
    pub(super) async fn objects(&self) -> Vec<Value> {
        let text = self.text().await;
        let documents = text.split("---\n").map(yaml);
        documents.filter(|document| !document.is_null()).collect()
    }
}

/// Reads one YAML document.
pub(super) fn yaml(text: &str) -> Value {
    let is_empty = text.lines().all(|line| line.trim().is_empty() || line.starts_with('#'));
    if is_empty {
        Value::Null
    } else {
        serde_saphyr::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
    }
}
