use std::path::{Path, PathBuf};

use registry::{Registry, RegistryError};

use crate::fake::{Fake, holds, none, ok, unwell};
use crate::{SCHEMA, SUBJECT, open};

/// A registry that has answered both questions, and a folder that remembers it.
async fn remembered() -> (Fake, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let fake = Fake::new(holds(SCHEMA)).await;
    let registry = open(&fake.url(), Some(folder.path()));
    assert_eq!(registry.writer_id(SUBJECT, SCHEMA).await.unwrap(), 7);
    assert_eq!(&*registry.schema(7).await.unwrap(), SCHEMA);
    fake.take_calls();
    (fake, folder)
}

fn file(folder: &Path) -> PathBuf {
    let files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap()).collect();
    assert_eq!(files.len(), 1, "nothing but the finished file stays: {files:?}");
    files[0].path()
}

async fn believes_nothing(registry: &Registry) {
    assert!(registry.writer_id(SUBJECT, SCHEMA).await.unwrap_err().is_away());
    assert!(registry.schema(7).await.unwrap_err().is_away());
}

#[tokio::test]
async fn asks_once_and_knows_for_ever() {
    let fake = Fake::new(holds(SCHEMA)).await;
    let registry = open(&fake.url(), None);
    for _ in 0..3 {
        assert_eq!(registry.writer_id(SUBJECT, SCHEMA).await.unwrap(), 7);
        assert_eq!(&*registry.schema(7).await.unwrap(), SCHEMA);
        fake.answers(unwell);
    }
    assert_eq!(fake.take_calls().len(), 2);
    assert!(registry.schema(8).await.unwrap_err().is_away());
}

#[tokio::test]
async fn a_restart_while_the_registry_is_away_goes_on_with_what_it_said() {
    let (fake, folder) = remembered().await;
    fake.answers(unwell);
    let registry = open(&fake.url(), Some(folder.path()));
    assert_eq!(registry.writer_id(SUBJECT, SCHEMA).await.unwrap(), 7);
    assert_eq!(&*registry.schema(7).await.unwrap(), SCHEMA);
    let asked = fake.take_calls().len();
    assert_eq!(asked, 2, "the registry is asked first");
    registry.writer_id(SUBJECT, SCHEMA).await.unwrap();
    registry.schema(7).await.unwrap();
    assert_eq!(fake.take_calls().len(), 0, "but not again and again");
}

#[tokio::test]
async fn a_change_of_credentials_does_not_make_it_another_registry() {
    let (fake, folder) = remembered().await;
    fake.answers(unwell);
    let url = format!("http://clerk:s3cr3t@{}/", fake.authority);
    let registry = open(&url, Some(folder.path()));
    assert_eq!(registry.writer_id(SUBJECT, SCHEMA).await.unwrap(), 7);
}

#[tokio::test]
async fn only_the_very_same_schema_and_subject_are_recalled() {
    let (fake, folder) = remembered().await;
    fake.answers(unwell);
    let registry = open(&fake.url(), Some(folder.path()));
    assert!(registry.writer_id(SUBJECT, r#"{"type":"long"}"#).await.unwrap_err().is_away());
    assert!(registry.writer_id("other-value", SCHEMA).await.unwrap_err().is_away());
    assert!(registry.schema(8).await.unwrap_err().is_away());
}

#[tokio::test]
async fn a_registry_that_says_no_is_believed_before_the_file() {
    let (fake, folder) = remembered().await;
    fake.answers(|line| match line {
        line if line.contains("compatibility") => ok(r#"{"is_compatible": false}"#),
        _ => none(40_403),
    });
    let registry = open(&fake.url(), Some(folder.path()));
    let refused = registry.writer_id(SUBJECT, SCHEMA).await.unwrap_err();
    assert!(matches!(refused, RegistryError::Incompatible { .. }), "{refused:?}");
    let unknown = registry.schema(7).await.unwrap_err();
    assert!(matches!(unknown, RegistryError::UnknownSchema { .. }), "{unknown:?}");
}

#[tokio::test]
async fn a_registry_that_fails_half_way_is_not_helped_out_by_the_file() {
    let (fake, folder) = remembered().await;
    fake.answers(|line| if line.contains("compatibility") { unwell(line) } else { none(40_403) });
    let registry = open(&fake.url(), Some(folder.path()));
    assert!(registry.writer_id(SUBJECT, SCHEMA).await.unwrap_err().is_away());
}

#[tokio::test]
async fn an_id_that_means_another_schema_than_before_is_refused() {
    let (fake, folder) = remembered().await;
    fake.answers(holds(r#"{"type":"long"}"#));
    let registry = open(&fake.url(), Some(folder.path()));
    let refused = registry.schema(7).await.unwrap_err();
    assert!(matches!(refused, RegistryError::Contradiction { id: 7, .. }), "{refused:?}");
    fake.answers(holds("{\n  \"type\" : \"string\"\n}"));
    assert!(registry.schema(7).await.is_ok(), "another layout is the same schema");
}

#[tokio::test]
async fn a_damaged_file_is_never_believed() {
    let (fake, folder) = remembered().await;
    fake.answers(unwell);
    let file = file(folder.path());
    let whole = std::fs::read(&file).unwrap();
    for at in (0..whole.len()).step_by(3) {
        let mut damaged = whole.clone();
        damaged[at] ^= 1;
        std::fs::write(&file, &damaged).unwrap();
        believes_nothing(&open(&fake.url(), Some(folder.path()))).await;
    }
    for length in [0, 1, 64, 65, whole.len() - 1] {
        std::fs::write(&file, &whole[..length]).unwrap();
        believes_nothing(&open(&fake.url(), Some(folder.path()))).await;
    }
    std::fs::write(&file, &whole).unwrap();
    let restored = open(&fake.url(), Some(folder.path()));
    assert_eq!(restored.writer_id(SUBJECT, SCHEMA).await.unwrap(), 7);
}

#[tokio::test]
async fn a_damaged_file_is_replaced_once_the_registry_answers() {
    let (fake, folder) = remembered().await;
    std::fs::write(file(folder.path()), "garbage").unwrap();
    open(&fake.url(), Some(folder.path())).writer_id(SUBJECT, SCHEMA).await.unwrap();
    fake.answers(unwell);
    let registry = open(&fake.url(), Some(folder.path()));
    assert_eq!(registry.writer_id(SUBJECT, SCHEMA).await.unwrap(), 7);
}

#[tokio::test]
async fn what_another_registry_said_does_not_count() {
    let (_fake, folder) = remembered().await;
    let other = Fake::new(unwell).await;
    believes_nothing(&open(&other.url(), Some(folder.path()))).await;
}

#[tokio::test]
async fn a_folder_that_cannot_be_written_costs_nothing_but_the_restart() {
    let folder = tempfile::tempdir().unwrap();
    let in_the_way = folder.path().join("file");
    std::fs::write(&in_the_way, "").unwrap();
    let fake = Fake::new(holds(SCHEMA)).await;
    let registry = open(&fake.url(), Some(&in_the_way));
    assert_eq!(registry.writer_id(SUBJECT, SCHEMA).await.unwrap(), 7);
    fake.answers(unwell);
    assert_eq!(registry.writer_id(SUBJECT, SCHEMA).await.unwrap(), 7);
    believes_nothing(&open(&fake.url(), Some(&in_the_way))).await;
}

#[tokio::test]
async fn foreign_schemas_do_not_fill_the_memory() {
    let folder = tempfile::tempdir().unwrap();
    let fake = Fake::new(|_| ok(r#"{"schema": "\"string\""}"#)).await;
    let registry = open(&fake.url(), Some(folder.path()));
    for id in 1..=100 {
        registry.schema(id).await.unwrap();
    }
    assert!(std::fs::metadata(file(folder.path())).unwrap().len() < 3_000);
    fake.answers(unwell);
    assert!(registry.schema(1).await.is_err(), "the oldest went");
    assert!(registry.schema(100).await.is_ok(), "the newest stayed");
}
