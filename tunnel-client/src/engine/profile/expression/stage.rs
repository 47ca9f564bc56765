//! Where expressions are evaluated: names bound once, on a deep stack, within one bound of work for all of them.

use std::{cell::Cell, rc::Rc};

use cel::Context;

use super::{ENVIRONMENT, EvaluationError, Fact, Scope, on_a_deep_stack};

/// The names of a [`Scope`] as expressions see them, and how much work is left.
pub struct Stage<'s> {
    pub(super) context: Context<'s, 'static>,
    size: usize,
    left: Rc<Cell<usize>>,
}

impl Scope {
    /// Evaluates over these names; blocks its thread until it is done, so an async caller must do it aside.
    ///
    /// However many expressions `run` evaluates, all of them take bounded work, and one thread with a deep stack.
    pub fn evaluate<T: Send, E: From<EvaluationError> + Send>(
        &self,
        run: impl FnOnce(&Stage<'_>) -> Result<T, E> + Send,
    ) -> Result<T, E> {
        let done = on_a_deep_stack(|| run(&Stage::over(self)));
        done.unwrap_or_else(|| Err(EvaluationError::GaveUp.into()))
    }
}

impl Stage<'_> {
    fn over(scope: &Scope) -> Self {
        let context = scope.context(Context::with_env(ENVIRONMENT.clone()));
        Self { context, size: scope.size(), left: Rc::new(Cell::new(MOST_WORK)) }
    }

    /// With what another expression gave as `name`; the rest is neither copied nor converted again.
    #[must_use]
    pub fn with(&self, name: &'static str, fact: &Fact) -> Stage<'_> {
        let mut context = self.context.new_inner_scope();
        context.add_variable_from_value(name, fact.0.clone());
        Stage { context, size: self.size, left: Rc::clone(&self.left) }
    }

    /// Takes what an expression whose loops nest that deep may cost; false if that is too much.
    pub(super) fn spend(&self, nesting: u32) -> bool {
        let steps = self.size.checked_pow(nesting.max(1)).filter(|steps| *steps <= MOST_STEPS);
        let left = steps.and_then(|steps| self.left.get().checked_sub(steps));
        left.map(|left| self.left.set(left)).is_some()
    }
}

/// Of one expression; some tenths of a second. An answer's values to the power of how deep it nests its loops.
pub(super) const MOST_STEPS: usize = 4_000_000;

/// Of all expressions of one look: three for each of as many nodes as can be looked at, over some ten thousand values.
const MOST_WORK: usize = 8_000_000;
