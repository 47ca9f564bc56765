//! A look at what there is of a component now: only calls that the profile has for looking.

use std::{collections::BTreeMap, time::Duration};

use futures_util::future::join_all;
use tunnel_protos::{TargetName, dynamic::DynamicMessage};

use super::{
    CallError, Engine,
    profile::{Answer, Answers, Component, Look, Per, SightError, Sighting, TemplateError, Vars, Where},
};

/// Why it could not be seen what there is.
#[derive(Debug, thiserror::Error)]
pub enum LookError {
    /// No target of the engine answered.
    #[error("cannot look at {component}")]
    Call {
        /// The component.
        component: String,
        /// What the last target that was asked did.
        source: CallError,
    },
    /// No target answered at all.
    #[error("cannot look at {0}: no target of the engine answers")]
    Nobody(String),
    /// The profile's own request.
    #[error("cannot look at {component}")]
    Request {
        /// The component.
        component: String,
        /// What is wrong with it.
        source: TemplateError,
    },
    /// What was answered cannot be used.
    #[error("what the engine tells of {component} cannot be used")]
    Sight {
        /// The component.
        component: String,
        /// Why.
        source: SightError,
    },
}

impl Engine {
    /// What there is of `component` now, by all its looks at the same time.
    pub async fn look(&self, component: &Component) -> Result<Sighting, LookError> {
        let name = || component.name.to_string();
        let looks = component.find.looks.iter().map(|look| self.answer(component, look));
        let answers = join_all(looks.collect::<Vec<_>>()).await;
        let answers = answers.into_iter().collect::<Result<Answers, LookError>>()?;
        let (find, targets) = (component.find.clone(), self.targets().cloned().collect::<Vec<_>>());
        let sighting = self.aside(move || find.sight(&answers, &targets), SIGHT).await;
        let sighting = sighting.map_err(SightError::from).and_then(|sighting| sighting);
        sighting.map_err(|source| LookError::Sight { component: name(), source })
    }

    fn tried<'a>(&'a self, endpoint: &'a Where) -> Vec<&'a TargetName> {
        match endpoint {
            Where::Target(target) => vec![target],
            Where::Any | Where::Each | Where::Companion(_) => {
                self.profile().targets_by_preference().collect()
            }
        }
    }

    async fn answer(&self, component: &Component, look: &Look) -> Result<(String, Answer), LookError> {
        let name = || component.name.to_string();
        let request = look.call.request.render(&Vars::default());
        let request = request.map_err(|source| LookError::Request { component: name(), source })?.message;
        let answer = match look.per {
            Per::Once => self.once(look, request).await,
            Per::Target => self.each(look, request).await,
        };
        match answer {
            Ok(Some(answer)) => Ok((look.name.clone(), answer)),
            Ok(None) => Err(LookError::Nobody(name())),
            Err(source) => Err(LookError::Call { component: name(), source }),
        }
    }

    /// What only looks may be asked of the next target whatever became of the call before.
    async fn once(&self, look: &Look, request: DynamicMessage) -> Result<Option<Answer>, CallError> {
        let mut last = None;
        for target in self.tried(&look.call.endpoint) {
            match self.call(target, &look.call.method, request.clone(), look.call.timeout).await {
                Ok(answer) => return Ok(Some(Answer::One(answer))),
                Err(error) => last = Some(error),
            }
        }
        last.map_or(Ok(None), Err)
    }

    /// Targets that do not answer are left out: that one is down is what a look is to show.
    async fn each(&self, look: &Look, request: DynamicMessage) -> Result<Option<Answer>, CallError> {
        let asked = self.targets().map(|target| {
            let (call, request) = (&look.call, request.clone());
            async move { (target.clone(), self.call(target, &call.method, request, call.timeout).await) }
        });
        let (mut answers, mut last) = (BTreeMap::new(), None);
        for (target, answer) in join_all(asked.collect::<Vec<_>>()).await {
            match answer {
                Ok(answer) => drop(answers.insert(target, answer)),
                Err(error) => last = Some(error),
            }
        }
        match (answers.is_empty(), last) {
            (true, Some(error)) => Err(error),
            (true, None) => Ok(None),
            (false, _) => Ok(Some(Answer::Each(answers))),
        }
    }
}

/// Of work that is bounded; a machine that takes longer has other troubles.
const SIGHT: Duration = Duration::from_secs(20);
