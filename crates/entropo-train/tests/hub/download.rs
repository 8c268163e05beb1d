//! What comes, and what does not come twice.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, Mutex};

use entropo_train::hub::{HubOptions, Progress, resolve};

use crate::place::{COMMIT, LATER, Place, WEIGHTS, assert_files, bodies, checkpoint, repository};
use crate::server::etag;

#[tokio::test]
async fn a_model_comes_without_what_no_checkpoint_needs() {
    let mut listed = repository("qwen2");
    let wanted = listed.files.clone();
    for other in ["README.md", "pytorch_model.bin", "model-q4.gguf", "original/consolidated.00.pth", ".gitattributes"] {
        listed.files.insert(other.into(), b"not for us".into());
    }
    let place = Place::new([listed]);
    let directory = place.resolve("org/qwen2").await.unwrap();
    assert_files(&directory, &wanted);
    assert_eq!(bodies(&place.hub.take_seen()), wanted.keys().cloned().collect());

    // The layout of Python's huggingface_hub: blobs by ETag, links for each commit, the commit of each branch.
    let root = place.cache.path().join("models--org--qwen2");
    assert_eq!(directory, root.join("snapshots").join(COMMIT));
    assert_eq!(std::fs::read_to_string(root.join("refs/main")).unwrap(), COMMIT);
    assert_eq!(place.blobs("qwen2"), wanted.iter().map(|(file, bytes)| etag(file, bytes)).collect());
    for (file, bytes) in &wanted {
        let link = std::fs::read_link(directory.join(file)).unwrap();
        assert_eq!(link, Path::new("../../blobs").join(etag(file, bytes)));
    }

    assert_eq!(place.resolve("org/qwen2").await.unwrap(), directory);
    assert_eq!(bodies(&place.hub.take_seen()), BTreeSet::new(), "nothing is downloaded twice");
}

#[tokio::test]
async fn shards_are_those_that_the_index_names() {
    let mut listed = repository("qwen3_moe");
    let wanted = listed.files.clone();
    assert!(wanted.contains_key("model-00004-of-00004.safetensors"), "the fixture is sharded");
    for other in ["model-00005-of-00005.safetensors", "consolidated.safetensors"] {
        listed.files.insert(other.into(), b"not for us".into());
    }
    let place = Place::new([listed]);
    assert_files(&place.resolve("org/qwen3_moe").await.unwrap(), &wanted);
}

#[tokio::test]
async fn progress_ends_with_every_file_whole() {
    let place = Place::new([repository("qwen2")]);
    let told = Arc::new(Mutex::new(BTreeMap::<String, Vec<_>>::new()));
    let options = place.options().on_progress({
        let told = told.clone();
        move |Progress { file, done, total }: Progress<'_>| {
            told.lock().unwrap().entry(file.to_owned()).or_default().push((done, total));
        }
    });
    for _ in ["downloaded", "cached"] {
        resolve("org/qwen2", &options).await.unwrap();
        let told = std::mem::take(&mut *told.lock().unwrap());
        assert_eq!(told.keys().cloned().collect::<BTreeSet<_>>(), checkpoint("qwen2").into_keys().collect());
        for (file, bytes) in checkpoint("qwen2") {
            let size = bytes.len() as u64;
            assert!(told[&file].iter().all(|(_, total)| *total == size), "{file}");
            assert!(told[&file].is_sorted() && told[&file].last() == Some(&(size, size)), "{file}: {:?}", told[&file]);
        }
    }
}

#[tokio::test]
async fn revisions_share_what_did_not_change() {
    let (first, mut second) = (repository("qwen2"), repository("qwen2"));
    second.commit = LATER.into();
    second.revisions = vec!["v2".into(), "refs/pr/1".into()];
    second.files.insert("generation_config.json".into(), b"{}".into());
    let place = Place::new([first, second]);
    let old = place.resolve("org/qwen2@main").await.unwrap();
    place.hub.take_seen();
    let new = place.resolve("org/qwen2@v2").await.unwrap();
    assert_eq!(bodies(&place.hub.take_seen()), BTreeSet::from(["generation_config.json".into()]));
    assert!(old.ends_with(COMMIT) && new.ends_with(LATER));
    assert_eq!(std::fs::read(new.join("generation_config.json")).unwrap(), b"{}");
    assert!(std::fs::read(old.join("generation_config.json")).unwrap() != b"{}");

    let options = HubOptions { revision: Some("v2".into()), ..place.options() };
    assert_eq!(resolve("org/qwen2", &options).await.unwrap(), new);
    assert_eq!(resolve("org/qwen2@main", &options).await.unwrap(), old, "the name's own revision wins");
    assert_eq!(place.resolve(&format!("org/qwen2@{LATER}")).await.unwrap(), new);
    assert_eq!(place.resolve("org/qwen2@refs/pr/1").await.unwrap(), new);
    let refs = place.cache.path().join("models--org--qwen2/refs");
    assert_eq!(std::fs::read_to_string(refs.join("refs/pr/1")).unwrap(), LATER);
    assert!(!refs.join(LATER).exists());
}

#[tokio::test]
async fn a_branch_that_moved_is_followed() {
    let place = Place::new([repository("qwen2")]);
    place.resolve("org/qwen2").await.unwrap();
    let mut moved = repository("qwen2");
    moved.commit = LATER.into();
    place.hub.set(moved);
    assert!(place.resolve("org/qwen2").await.unwrap().ends_with(LATER));
}

#[tokio::test(flavor = "multi_thread")]
async fn two_at_once_download_once() {
    let place = Place::new([repository("qwen2")]);
    let (one, other) = tokio::join!(place.resolve("org/qwen2"), place.resolve("org/qwen2"));
    assert_eq!(one.unwrap(), other.unwrap());
    let weights = place.hub.take_seen().iter().filter(|seen| seen.cdn && seen.is_body_of(WEIGHTS)).count();
    assert_eq!(weights, 1);
}
