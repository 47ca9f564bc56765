//! The main job from end to end with the real programs and throw-away keys, every step visible.
//!
//! Each step is a function that leaves the stage working; whatever does not go as told is an error.

pub mod hold;
pub mod narrator;
pub mod shell;
pub mod stage;
pub mod steps;

use std::path::Path;

use anyhow::Result;

use self::{narrator::Narrator, stage::Stage};

/// Walks all steps in `folder`; the stage keeps running until it is dropped.
pub async fn play(folder: &Path, told: Narrator) -> Result<Stage> {
    let mut stage = Stage::new(folder, told)?;
    steps::vendor::keys(&mut stage).await?;
    steps::customer::register(&mut stage).await?;
    steps::customer::start(&mut stage).await?;
    steps::operator::log_in(&mut stage).await?;
    steps::operator::refused(&mut stage).await?;
    steps::operator::connect(&mut stage).await?;
    steps::calls::call(&mut stage).await?;
    steps::calls::out_of_scope(&mut stage).await?;
    steps::calls::revoke(&mut stage).await?;
    steps::broker::view(&mut stage).await?;
    Ok(stage)
}
