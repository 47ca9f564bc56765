//! The main job from end to end with the real programs and throw-away keys, every step visible.
//!
//! Each step is a function that leaves the stage working; whatever does not go as told is an error.

pub mod engine;
pub mod hold;
pub mod narrator;
pub mod play;
pub mod script;
pub mod shell;
pub mod stage;
pub mod steps;

use std::path::Path;

use anyhow::{Context, Result, ensure};

use self::{narrator::Narrator, play::Play, stage::Stage};

/// Walks all steps in `folder`; the stage keeps running until it is dropped.
pub async fn play(folder: &Path, told: Narrator, play: &'static Play) -> Result<Stage> {
    let mut stage = Stage::new(folder, told, play)?;
    stage.told.title(&format!("Postern with {}, from nothing to a receipt", play.engine));
    for step in play.script {
        let shown = stage.told.shown();
        step.play(&mut stage).await.with_context(|| format!("step `{}`", step.name))?;
        ensure!(stage.told.shown() > shown, "step `{}` found nothing that came as expected", step.name);
    }
    Ok(stage)
}
