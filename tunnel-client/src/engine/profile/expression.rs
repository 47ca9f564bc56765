//! Expressions of a profile: CEL over what an engine answered.
//!
//! Names and fields are checked when the profile is read. What goes wrong later is an error and never a yes; it takes
//! bounded work, whatever the engine answers, and tells no value of the engine's.

mod check;
mod cost;
mod scope;
mod stage;

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, LazyLock},
    thread,
};

use cel::{Env, ExecutionError, ParseErrors, Program, Value};
use tunnel_protos::text::escape;

pub(super) use self::check::{Names, Shape};
pub use self::{
    scope::{Fact, Scope, TooLarge},
    stage::Stage,
};

/// Why a text is no expression of a profile.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ExpressionError {
    /// More text than anybody reads.
    #[error("an expression has at most {MOST_TEXT} bytes")]
    Long,
    /// Not CEL.
    #[error("not an expression (CEL): {0}")]
    Syntax(String),
    /// A name, field or function that is not there.
    #[error("{0}")]
    Unknown(String),
}

/// Why an expression gave nothing for what an engine answered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EvaluationError {
    /// It fails on the answer.
    #[error("`{expression}` {problem}")]
    Failed {
        /// As it is written.
        expression: Arc<str>,
        /// Why.
        problem: String,
    },
    /// It was not done in its time.
    #[error("it takes too long to look through what the engine answered")]
    Slow,
    /// The library gave up, or there is no thread.
    #[error("what the engine answered cannot be looked through")]
    GaveUp,
}

/// A compiled expression; cheap to clone.
#[derive(Clone)]
pub struct Expression {
    text: Arc<str>,
    program: Arc<Program>,
    nesting: u32,
}

impl Expression {
    /// Compiles `text` over `names`, and tells of what shape its value is as far as the schema says.
    pub(super) fn parse(text: &str, names: &Names) -> Result<(Self, Shape), ExpressionError> {
        if text.len() > MOST_TEXT {
            return Err(ExpressionError::Long);
        }
        if nesting(text) > MOST_NESTING {
            return Err(too_deep());
        }
        let read = on_a_deep_stack(|| read(text, names));
        let (program, shape, nesting) =
            read.unwrap_or_else(|| Err(ExpressionError::Syntax("too odd to be read".to_owned())))?;
        Ok((Self { text: text.into(), program: Arc::new(program), nesting }, shape))
    }

    /// As it is written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Its yes or no.
    pub fn bool(&self, stage: &Stage<'_>) -> Result<bool, EvaluationError> {
        match self.value(stage)? {
            Value::Bool(value) => Ok(value),
            other => Err(self.unlike("true or false", &other)),
        }
    }

    /// Its number, whole and not negative.
    pub fn number(&self, stage: &Stage<'_>) -> Result<u64, EvaluationError> {
        match self.value(stage)? {
            Value::UInt(value) => Ok(value),
            Value::Int(value) => u64::try_from(value).map_err(|_| self.failed("gives a negative number")),
            other => Err(self.unlike("a whole number", &other)),
        }
    }

    /// Its text.
    pub fn string(&self, stage: &Stage<'_>) -> Result<String, EvaluationError> {
        match self.value(stage)? {
            Value::String(value) => Ok(Arc::unwrap_or_clone(value)),
            other => Err(self.unlike("a text", &other)),
        }
    }

    /// The elements of its list, in their order.
    pub fn list(&self, stage: &Stage<'_>) -> Result<Vec<Fact>, EvaluationError> {
        match self.value(stage)? {
            Value::List(values) => Ok(values.iter().cloned().map(Fact).collect()),
            other => Err(self.unlike("a list", &other)),
        }
    }

    /// Its map from texts to texts, numbers or yes and no; all as text.
    pub fn map(&self, stage: &Stage<'_>) -> Result<BTreeMap<String, String>, EvaluationError> {
        let value = self.value(stage)?;
        let texts = scope::texts(&value);
        texts.ok_or_else(|| self.unlike("a map of texts, numbers or truth values", &value))
    }

    fn value(&self, stage: &Stage<'_>) -> Result<Value, EvaluationError> {
        if !stage.spend(self.nesting) {
            return Err(self.failed("would take too many steps on an answer of this size"));
        }
        self.program.execute(&stage.context).map_err(|error| self.failed(told(&error)))
    }

    fn unlike(&self, wanted: &str, found: &Value) -> EvaluationError {
        self.failed(format!("gives {} instead of {wanted}", found.type_of()))
    }

    fn failed(&self, problem: impl Into<String>) -> EvaluationError {
        EvaluationError::Failed { expression: self.text.clone(), problem: problem.into() }
    }
}

impl fmt::Debug for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Expression({})", self.text)
    }
}

impl fmt::Display for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

fn read(text: &str, names: &Names) -> Result<(Program, Shape, u32), ExpressionError> {
    let program = ENVIRONMENT.compile(text).map_err(|errors| ExpressionError::Syntax(first(&errors)))?;
    let (shape, nesting) = check::check(program.expression(), names)?;
    Ok((program, shape, nesting))
}

/// The library is a stranger's that calls itself, a dozen functions for each bracket: what it cannot take must not take
/// the program with it. None if it gave up, or if there is no thread.
fn on_a_deep_stack<T: Send>(run: impl FnOnce() -> T + Send) -> Option<T> {
    thread::scope(|scope| {
        let thread = thread::Builder::new().stack_size(DEEP_STACK).spawn_scoped(scope, run).ok()?;
        thread.join().ok()
    })
}

fn too_deep() -> ExpressionError {
    ExpressionError::Syntax("nested too deep to be read".to_owned())
}

/// Types and names, never values: an error may leave the customer.
fn told(error: &ExecutionError) -> String {
    match error {
        ExecutionError::NoSuchKey(key) => format!("finds no `{}`", escape(key, SHOWN)),
        ExecutionError::NoSuchOverload(call) => escape(&format!("fails: {call}"), SHOWN),
        ExecutionError::IndexOutOfBounds(_) => "reads beyond the end of a list".to_owned(),
        ExecutionError::DivisionByZero(_) | ExecutionError::RemainderByZero(_) => {
            "divides by zero".to_owned()
        }
        ExecutionError::Overflow(..) => "gives a number that is too large".to_owned(),
        _ => "cannot be evaluated on this answer".to_owned(),
    }
}

fn first(errors: &ParseErrors) -> String {
    let first = errors.errors.first();
    first.map_or_else(
        || "not readable".to_owned(),
        |error| format!("at column {}: {}", error.pos.1, error.msg),
    )
}

/// The standard functions; nothing that reads a clock, a file or a network.
static ENVIRONMENT: LazyLock<Arc<Env>> = LazyLock::new(|| Arc::new(Env::stdlib()));

/// Longer ones are programs, which belong into the engine.
const MOST_TEXT: usize = 1_024;

/// Of a name in an error.
const SHOWN: usize = 128;

/// No less than how deep the parser nests: brackets that are open, and all that may wait for an operand.
fn nesting(text: &str) -> usize {
    let (mut open, mut waiting, mut deepest) = (0_usize, 0_usize, 0_usize);
    for c in text.chars() {
        match c {
            '(' | '[' | '{' => open += 1,
            ')' | ']' | '}' => open = open.saturating_sub(1),
            '!' | '-' | '?' => waiting += 1,
            _ => {}
        }
        deepest = deepest.max(open + waiting);
    }
    deepest
}

/// Far beyond what anybody can read. The parser takes some 100 KiB of stack for each without optimization.
const MOST_NESTING: usize = 64;

/// Bytes; several times what [`MOST_NESTING`] needs. Only what is touched is memory.
const DEEP_STACK: usize = 32 << 20;

#[cfg(test)]
mod tests;
