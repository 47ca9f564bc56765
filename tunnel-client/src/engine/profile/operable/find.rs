//! How to see what there is of a component now: calls that only look, and expressions over their answers. Pure.

use std::collections::{BTreeMap, BTreeSet};

use tunnel_protos::{
    NodeName, SettingName, TargetName,
    dynamic::{Undecoded, UndecodedError},
};

use super::{
    super::expression::{EvaluationError, Expression, Fact, Scope, Stage, TooLarge},
    Call, Per,
};

/// How to see what there is of a component.
#[derive(Debug, Clone)]
pub struct Find {
    /// The calls, in the order in which the profile names them.
    pub looks: Vec<Look>,
    pub(in crate::engine::profile) replicas: Option<Expression>,
    pub(in crate::engine::profile) release: Option<Expression>,
    pub(in crate::engine::profile) settings: Option<Expression>,
    /// Only these are looked at: what the profile does not list, or lists as sensitive, is nobody's to see.
    pub(in crate::engine::profile) shown: BTreeSet<SettingName>,
    pub(in crate::engine::profile) nodes: Option<FindNodes>,
}

/// One call that only looks.
#[derive(Debug, Clone)]
pub struct Look {
    /// What expressions call its answer: `response` for the first.
    pub name: String,
    /// The call, whose request has no places.
    pub call: Call,
    /// At any target, or at each of them.
    pub per: Per,
}

/// The nodes of a component, each as `node`.
#[derive(Debug, Clone)]
pub(in crate::engine::profile) struct FindNodes {
    pub(in crate::engine::profile) list: Expression,
    pub(in crate::engine::profile) ready: Expression,
    pub(in crate::engine::profile) release: Option<Expression>,
    pub(in crate::engine::profile) incarnation: Option<Expression>,
}

/// What the calls answered, by their names.
pub type Answers = BTreeMap<String, Answer>;

/// What one call answered.
#[derive(Debug, Clone)]
pub enum Answer {
    /// At any target.
    One(Undecoded),
    /// At each target that answered.
    Each(BTreeMap<TargetName, Undecoded>),
}

/// What there is of a component, as its engine tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sighting {
    /// How many replicas; none if the profile does not say how to see it.
    pub replicas: Option<u32>,
    /// Its release; none if the profile does not say how to see it.
    pub release: Option<String>,
    /// Its settings; empty if the profile does not say how to see them.
    pub settings: BTreeMap<SettingName, String>,
    /// Its nodes, in the engine's order; empty if the profile does not say how to see them.
    pub nodes: Vec<SightedNode>,
}

/// One node as its engine tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SightedNode {
    /// Its name.
    pub name: NodeName,
    /// Whether it does its work.
    pub ready: bool,
    /// Its release, if the profile says how to see it.
    pub release: Option<String>,
    /// What changes when it starts anew, if the profile says how to see it.
    pub incarnation: Option<String>,
}

/// Why what the engine tells of a component cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SightError {
    /// An expression fails on it.
    #[error("{0}")]
    Expression(#[from] EvaluationError),
    /// It is not what the descriptors name, or more than is looked at.
    #[error("what the engine tells cannot be read")]
    Decode(#[from] UndecodedError),
    /// Too much of it.
    #[error("what the engine tells is too much")]
    Size(#[from] TooLarge),
    /// A node that has no name, or one that could not be asked for.
    #[error("the engine tells of a node whose name cannot be used")]
    Node,
    /// Two nodes of one name.
    #[error("the engine tells of two nodes of the name {0}")]
    Twice(NodeName),
    /// More than any cluster has.
    #[error("the engine tells of more than {MOST} {0}")]
    Many(&'static str),
    /// A text that is longer than anything that could be expected of it.
    #[error("the engine tells a {0} of more than {LONGEST} bytes")]
    Long(&'static str),
}

impl Find {
    /// What there is, by what the calls answered; `targets` are those of the profile. Blocks as [`Scope::evaluate`] does.
    pub fn sight<'a, 't>(
        &self,
        answers: &'a Answers,
        targets: impl IntoIterator<Item = &'t TargetName>,
    ) -> Result<Sighting, SightError> {
        let mut scope = Scope::default().texts("targets", targets.into_iter().map(TargetName::as_str));
        for (name, answer) in answers {
            scope = match answer {
                Answer::One(answer) => scope.message(name, &answer.decode()?)?,
                // One after the other: no two of them are in memory as messages at the same time.
                Answer::Each(answers) => {
                    let decoded =
                        |(target, answer): (&'a TargetName, &Undecoded)| (target.as_str(), answer.decode());
                    scope.messages::<SightError>(name, answers.iter().map(decoded))?
                }
            };
        }
        scope.evaluate(|stage| self.see(stage))
    }

    fn see(&self, stage: &Stage<'_>) -> Result<Sighting, SightError> {
        let nodes = self.nodes.as_ref().map(|nodes| nodes.sight(stage)).transpose()?;
        Ok(Sighting {
            replicas: self.replicas(stage, nodes.as_deref())?,
            release: short("release", self.release.as_ref(), stage)?,
            settings: self.settings(stage)?,
            nodes: nodes.unwrap_or_default(),
        })
    }

    /// Without an expression, as many as there are nodes.
    fn replicas(&self, stage: &Stage<'_>, nodes: Option<&[SightedNode]>) -> Result<Option<u32>, SightError> {
        let Some(expression) = &self.replicas else {
            return Ok(nodes.and_then(|nodes| u32::try_from(nodes.len()).ok()));
        };
        let replicas = expression.number(stage)?;
        u32::try_from(replicas).map(Some).map_err(|_| SightError::Many("replicas"))
    }

    fn settings(&self, stage: &Stage<'_>) -> Result<BTreeMap<SettingName, String>, SightError> {
        let Some(expression) = &self.settings else { return Ok(BTreeMap::new()) };
        let mut found = expression.map(stage)?;
        let one = |name: &SettingName| {
            let value = found.remove(name.as_str())?;
            Some(bounded("setting", value).map(|value| (name.clone(), value)))
        };
        self.shown.iter().filter_map(one).collect()
    }
}

impl FindNodes {
    fn sight(&self, stage: &Stage<'_>) -> Result<Vec<SightedNode>, SightError> {
        let found = self.list.list(stage)?;
        if found.len() > MOST {
            return Err(SightError::Many("nodes"));
        }
        let mut nodes: Vec<SightedNode> = Vec::with_capacity(found.len());
        for fact in &found {
            let node = self.node(&stage.with("node", fact), fact)?;
            if nodes.iter().any(|known| known.name == node.name) {
                return Err(SightError::Twice(node.name));
            }
            nodes.push(node);
        }
        Ok(nodes)
    }

    /// A node is its name, or something with a field `name`.
    fn node(&self, stage: &Stage<'_>, fact: &Fact) -> Result<SightedNode, SightError> {
        let name = fact.text().or_else(|| fact.text_of("name")).ok_or(SightError::Node)?;
        Ok(SightedNode {
            name: name.parse().map_err(|_| SightError::Node)?,
            ready: self.ready.bool(stage)?,
            release: short("release", self.release.as_ref(), stage)?,
            incarnation: short("incarnation", self.incarnation.as_ref(), stage)?,
        })
    }
}

fn short(
    what: &'static str,
    expression: Option<&Expression>,
    stage: &Stage<'_>,
) -> Result<Option<String>, SightError> {
    let found = expression.map(|expression| expression.string(stage)).transpose()?;
    found.map(|text| bounded(what, text)).transpose()
}

fn bounded(what: &'static str, text: String) -> Result<String, SightError> {
    if text.len() > LONGEST { Err(SightError::Long(what)) } else { Ok(text) }
}

/// More nodes cannot be looked through by anybody who approves.
const MOST: usize = 256;

/// As in requests.
const LONGEST: usize = 4_096;
