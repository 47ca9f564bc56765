//! Values that operators may give: arguments of tasks and settings, each of a type and within bounds that the customer
//! wrote down.

use std::fmt;

use super::template::Var;

/// One argument or setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parameter {
    /// What it may be.
    pub kind: ParameterKind,
    /// What it is if nobody says; none: it must be given.
    pub default: Option<String>,
    /// Never in a request: its values are nobody's but the customer's.
    pub sensitive: bool,
}

/// What a value may be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ParameterKind {
    /// A whole number, bounds included.
    Integer {
        /// The least.
        min: i64,
        /// The most.
        max: i64,
    },
    /// A text of so many bytes, bounds included.
    Text {
        /// The least.
        min: usize,
        /// The most.
        max: usize,
    },
    /// `true` or `false`.
    Boolean,
    /// One of these.
    Choice(Vec<String>),
}

/// Why a value is not taken; never repeats it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("takes {0}")]
pub struct ParameterError(ParameterKind);

impl Parameter {
    /// The value, if it is one.
    pub fn check(&self, text: &str) -> Result<Var, ParameterError> {
        let good = match &self.kind {
            ParameterKind::Integer { min, max } => {
                let number = text.parse::<i64>().ok();
                // One way to write a number, so that old and new can be compared as text.
                number.is_some_and(|n| (*min..=*max).contains(&n) && n.to_string() == text)
            }
            ParameterKind::Text { min, max } => (*min..=*max).contains(&text.len()),
            ParameterKind::Boolean => text == "true" || text == "false",
            ParameterKind::Choice(values) => values.iter().any(|value| value == text),
        };
        good.then(|| self.var(text)).ok_or_else(|| ParameterError(self.kind.clone()))
    }

    /// Values to try a template with.
    pub(super) fn samples(&self) -> Vec<Var> {
        let texts: Vec<String> = match &self.kind {
            ParameterKind::Integer { min, max } => vec![0.clamp(*min, *max).to_string()],
            ParameterKind::Text { .. } => vec!["text".to_owned()],
            ParameterKind::Boolean => vec!["true".to_owned()],
            ParameterKind::Choice(values) => values.clone(),
        };
        texts.iter().map(|text| self.var(text)).collect()
    }

    fn var(&self, text: &str) -> Var {
        match self.kind {
            ParameterKind::Boolean => Var::Flag(text == "true"),
            _ => Var::Text(text.to_owned()),
        }
    }
}

impl fmt::Display for ParameterKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Integer { min: i64::MIN, max: i64::MAX } => f.write_str("a whole number"),
            Self::Integer { min, max } => write!(f, "a whole number from {min} to {max}"),
            Self::Text { min: 0, max } => write!(f, "a text of at most {max} bytes"),
            Self::Text { min, max } => write!(f, "a text of {min} to {max} bytes"),
            Self::Boolean => f.write_str("true or false"),
            Self::Choice(values) => write!(f, "one of {}", values.join(", ")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parameter(kind: ParameterKind) -> Parameter {
        Parameter { kind, default: None, sensitive: false }
    }

    #[test]
    fn values_inside_their_bounds_are_taken() {
        let number = parameter(ParameterKind::Integer { min: -1, max: 8 });
        assert_eq!(number.check("8"), Ok(Var::Text("8".to_owned())));
        assert_eq!(number.check("-1"), Ok(Var::Text("-1".to_owned())));
        assert_eq!(parameter(ParameterKind::Boolean).check("false"), Ok(Var::Flag(false)));
        assert!(parameter(ParameterKind::Text { min: 1, max: 3 }).check("abc").is_ok());
        assert!(parameter(ParameterKind::Choice(vec!["a".to_owned()])).check("a").is_ok());
    }

    #[test]
    fn all_others_are_refused_and_not_repeated() {
        for (kind, bad) in [
            (ParameterKind::Integer { min: 0, max: 8 }, "9"),
            (ParameterKind::Integer { min: 0, max: 8 }, "-1"),
            (ParameterKind::Integer { min: 0, max: 8 }, "+7"),
            (ParameterKind::Integer { min: 0, max: 8 }, "07"),
            (ParameterKind::Integer { min: 0, max: 8 }, ""),
            (ParameterKind::Text { min: 1, max: 3 }, "abcd"),
            (ParameterKind::Text { min: 1, max: 3 }, ""),
            (ParameterKind::Boolean, "yes"),
            (ParameterKind::Choice(vec!["a".to_owned()]), "A"),
        ] {
            let error = parameter(kind.clone()).check(bad).unwrap_err();
            assert_eq!(error.to_string(), format!("takes {kind}"), "{bad:?}");
        }
    }
}
