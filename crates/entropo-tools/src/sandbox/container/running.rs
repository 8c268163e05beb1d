//! A container from its start to its removal.

use std::fmt;
use std::pin::Pin;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use bollard::container::AttachContainerResults;
use bollard::models::ContainerCreateBody;
use bollard::query_parameters::{
    AttachContainerOptionsBuilder, CreateContainerOptions, InspectContainerOptions, RemoveContainerOptionsBuilder,
    StartContainerOptions,
};
use futures::TryStreamExt;
use tokio::io::AsyncWrite;
use tokio_util::io::StreamReader;

use super::super::host::Family;
use super::super::{Limits, SandboxError};
use super::engine::{Engine, failed, is_gone, unavailable};
use super::members::Place;
use super::{process, setup};

/// How long the first process may take to be there, and a removed container to be gone.
const START_TIME: Duration = Duration::from_secs(60);
const END_TIME: Duration = Duration::from_secs(10);

/// A running container; ended and removed when it is dropped.
pub(super) struct Container {
    pub(super) place: Place,
    /// Kills the first process, and the kernel all others with it, if it can be seen from here.
    _first: Family,
    /// The connection that keeps the container running.
    _input: Mutex<Pin<Box<dyn AsyncWrite + Send>>>,
}

impl Container {
    /// Makes and starts a container whose first process belongs to `first`.
    pub(super) async fn start(
        engine: Engine,
        image: &str,
        body: ContainerCreateBody,
        first: Family,
        limits: &Limits,
    ) -> Result<Self, SandboxError> {
        let made = engine.docker.create_container(None::<CreateContainerOptions>, body).await;
        let made = made.map_err(|error| failed(format!("make a container of {image}"), error))?;
        let created = Created(Some(Place { engine, container: made.id, visible: false }));
        match setup::refused_limit(&made.warnings, limits) {
            Some(refused) => Err(refused),
            None => created.start(image, first).await,
        }
    }
}

/// A container that has not been started yet; removed when it is dropped.
struct Created(Option<Place>);

impl Created {
    async fn start(mut self, image: &str, first: Family) -> Result<Container, SandboxError> {
        let Some(place) = &self.0 else { return Err(unavailable("a container is started once".to_owned())) };
        let docker = &place.engine.docker;
        let options = AttachContainerOptionsBuilder::new().stream(true).stdin(true).stdout(true).stderr(true).build();
        let cannot = |error| cannot_start(image, error);
        // Only Podman knows by now that there is no shell.
        let attached = docker.attach_container(&place.container, Some(options)).await.map_err(cannot)?;
        let AttachContainerResults { output, input } = attached;
        docker.start_container(&place.container, None::<StartContainerOptions>).await.map_err(cannot)?;
        let pieces = output.map_ok(|piece| piece.into_bytes()).map_err(std::io::Error::other);
        let mut output = StreamReader::new(pieces);
        let said = tokio::time::timeout(START_TIME, process::line(&mut output)).await;
        match said.unwrap_or_else(|_| Ok("nothing within a minute".to_owned())) {
            Ok(word) if word == setup::READY => {}
            Ok(other) => return Err(unavailable(format!("the shell of the image {image} said `{other}`"))),
            Err(error) => return Err(unavailable(format!("the shell of the image {image} said nothing: {error}"))),
        }
        let visible = !first.is_gone();
        tracing::debug!(image, container = %place.container, visible, "started a container");
        let place = self.0.take().map(|place| Place { visible, ..place });
        let place = place.ok_or_else(|| unavailable("a container is started once".to_owned()))?;
        Ok(Container { place, _first: first, _input: Mutex::new(input) })
    }
}

fn cannot_start(image: &str, error: bollard::errors::Error) -> SandboxError {
    let error = failed(format!("start a container of {image}"), error);
    let text = error.to_string();
    let shell_is_missing = text.contains(setup::SHELL)
        && ["no such file", "not found"].iter().any(|words| text.to_lowercase().contains(words));
    if shell_is_missing {
        return unavailable(format!(
            "the image {image} has no {}, by which commands are started; use one with a shell",
            setup::SHELL
        ));
    }
    error
}

impl Drop for Created {
    fn drop(&mut self) {
        if let Some(place) = self.0.take() {
            place.remove_in_background();
        }
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        self.place.clone().remove_in_background();
    }
}

impl fmt::Debug for Container {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Container").field("place", &self.place).finish_non_exhaustive()
    }
}

impl Place {
    /// Ends all that runs in it and removes it; returns when it is gone, also if it was before.
    pub(super) async fn remove(&self) -> Result<(), SandboxError> {
        let docker = &self.engine.docker;
        let failed = |error| failed("remove a container", error);
        let since = Instant::now();
        while since.elapsed() < END_TIME {
            let options = RemoveContainerOptionsBuilder::new().force(true).v(true).build();
            match docker.remove_container(&self.container, Some(options)).await {
                Err(error) if !is_gone(&error) => return Err(failed(error)),
                _ => {}
            }
            match docker.inspect_container(&self.container, None::<InspectContainerOptions>).await {
                Err(error) if is_gone(&error) => return Ok(()),
                Err(error) => return Err(failed(error)),
                // Somebody else is about to remove it.
                Ok(_) => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
        Err(unavailable(format!("the container {} is not gone 10 s after its removal", self.container)))
    }

    fn remove_in_background(self) {
        super::in_background(async move {
            if let Err(error) = self.remove().await {
                tracing::debug!(%error, "a container could not be removed");
            }
        });
    }
}
