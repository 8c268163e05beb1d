//! Images: fetched when they are missing, and as a source of files.

use std::io;
use std::path::Path;

use bollard::models::{ContainerCreateBody, CreateImageInfo};
use bollard::query_parameters::{
    CreateContainerOptions, CreateImageOptionsBuilder, DownloadFromContainerOptionsBuilder,
    RemoveContainerOptionsBuilder,
};
use futures::{StreamExt, TryStreamExt};
use tokio::io::AsyncRead;
use tokio_util::io::StreamReader;

use super::super::SandboxError;
use super::engine::{Engine, failed, is_gone};
use super::options::{Listener, PullProgress};
use super::owner;

/// Pulls an image unless it is there.
pub(super) async fn ensure(engine: &Engine, image: &str, listener: Option<&Listener>) -> Result<(), SandboxError> {
    match engine.docker.inspect_image(image).await {
        Ok(_) => return Ok(()),
        Err(error) if is_gone(&error) => {}
        Err(error) => return Err(failed(format!("look for the image {image}"), error)),
    }
    tracing::info!(image, "pulling an image");
    let (name, tag) = name_and_tag(image);
    let options = CreateImageOptionsBuilder::new().from_image(name).tag(tag).build();
    let mut pulled = engine.docker.create_image(Some(options), None, None);
    while let Some(step) = pulled.next().await {
        let progress = told(step.map_err(|error| failed(format!("pull the image {image}"), error))?);
        tracing::debug!(image, ?progress, "pulling");
        if let Some(listener) = listener {
            listener(&progress);
        }
    }
    // Some errors are told only by what is missing in the end.
    engine
        .docker
        .inspect_image(image)
        .await
        .map(|_| ())
        .map_err(|error| failed(format!("pull the image {image}"), error))
}

fn told(step: CreateImageInfo) -> PullProgress {
    let detail = step.progress_detail.unwrap_or_default();
    let bytes = |number: Option<i64>| number.and_then(|number| u64::try_from(number).ok());
    PullProgress {
        layer: step.id,
        status: step.status.unwrap_or_default(),
        current: bytes(detail.current),
        total: bytes(detail.total),
    }
}

/// What is pulled if no tag is named must be said, or all tags are. A digest is part of the name.
fn name_and_tag(image: &str) -> (&str, &str) {
    match image.rsplit_once(':') {
        _ if image.contains('@') => (image, ""),
        Some((name, tag)) if !tag.contains('/') => (name, tag),
        _ => (image, "latest"),
    }
}

/// The files below a path of an image as a tar archive, whose entries begin with the last name in the path. The image is
/// pulled if it is missing; nothing of it is run. `socket` is the engine's, in place of the one that is looked for.
///
/// # Errors
///
/// Where no engine answers, or there is no such image or path. Later errors are the reader's.
pub async fn image_files(
    image: &str,
    path: &str,
    socket: Option<&Path>,
) -> Result<impl AsyncRead + Send + Unpin + use<>, SandboxError> {
    let engine = Engine::connect(socket).await?;
    ensure(&engine, image, None).await?;
    let action = format!("read {path} of the image {image}");
    let body = ContainerCreateBody {
        image: Some(image.to_owned()),
        entrypoint: Some(vec!["/never-started".to_owned()]),
        labels: Some(owner::labels()),
        ..Default::default()
    };
    let created = engine.docker.create_container(None::<CreateContainerOptions>, body).await;
    let container = Unstarted { id: created.map_err(|error| failed(action.clone(), error))?.id, engine };
    let options = DownloadFromContainerOptionsBuilder::new().path(path).build();
    let mut pieces = Box::pin(container.engine.docker.download_from_container(&container.id, Some(options)));
    let first = pieces.try_next().await.map_err(|error| failed(action, error))?;
    let all = futures::stream::iter(first.map(Ok)).chain(pieces).map_err(move |error| {
        // Kept until the last piece has been read.
        let _ = &container;
        io::Error::other(failed("read files of an image", error))
    });
    Ok(StreamReader::new(Box::pin(all)))
}

/// A container that is removed when it is dropped.
struct Unstarted {
    engine: Engine,
    id: String,
}

impl Drop for Unstarted {
    fn drop(&mut self) {
        let (engine, id) = (self.engine.clone(), std::mem::take(&mut self.id));
        super::in_background(async move {
            let options = RemoveContainerOptionsBuilder::new().force(true).v(true).build();
            if let Err(error) = engine.docker.remove_container(&id, Some(options)).await {
                tracing::debug!(%error, "a container could not be removed");
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_without_a_tag_is_the_latest() {
        assert_eq!(name_and_tag("debian"), ("debian", "latest"));
        assert_eq!(name_and_tag("localhost:5000/a/b"), ("localhost:5000/a/b", "latest"));
        assert_eq!(name_and_tag("localhost:5000/a/b:1.2"), ("localhost:5000/a/b", "1.2"));
        assert_eq!(name_and_tag("debian@sha256:00"), ("debian@sha256:00", ""));
    }
}
