//! gRPC methods and patterns over them: the vocabulary of requests, policies and profiles.

use std::{fmt, str::FromStr};

/// A text outside the grammar of methods or patterns.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MethodError {
    /// Not `package.Service/Method`.
    #[error("not a method: package.Service/Method, for example engine.admin.v1.Admin/GetStatus")]
    Method,
    /// Not `package.Service/Method` or `package.Service/*`.
    #[error("not a pattern: package.Service/Method or package.Service/*")]
    Pattern,
}

/// The full name of one method: `package.Service/Method`, at most 512 bytes.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MethodName {
    text: Box<str>,
    slash: usize,
}

impl MethodName {
    /// Reads a request path: exactly `/package.Service/Method`, without query or escapes.
    pub fn from_path(path: &str) -> Result<Self, MethodError> {
        path.strip_prefix('/').ok_or(MethodError::Method)?.parse()
    }

    /// `/package.Service/Method`.
    pub fn path(&self) -> String {
        format!("/{}", self.text)
    }

    /// `package.Service/Method`.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// `package.Service`.
    pub fn service(&self) -> &str {
        &self.text[..self.slash]
    }

    /// `Method`.
    pub fn method(&self) -> &str {
        &self.text[self.slash + 1..]
    }

    /// Whether Postern's own services own this name: engine rules never match it.
    pub fn is_reserved(&self) -> bool {
        self.service().starts_with("postern.")
    }
}

impl FromStr for MethodName {
    type Err = MethodError;

    fn from_str(text: &str) -> Result<Self, MethodError> {
        let slash = text.find('/').ok_or(MethodError::Method)?;
        let (service, method) = (&text[..slash], &text[slash + 1..]);
        if text.len() <= MAX_LEN && is_service(service) && is_identifier(method) {
            Ok(Self { text: text.into(), slash })
        } else {
            Err(MethodError::Method)
        }
    }
}

impl fmt::Display for MethodName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for MethodName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MethodName({self})")
    }
}

/// One method, or all methods of one service. There is no wider pattern.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum MethodPattern {
    /// `package.Service/Method`.
    Exact(MethodName),
    /// `package.Service/*`.
    Service(Box<str>),
}

impl MethodPattern {
    /// Whether the pattern covers `method`; never one of Postern's own.
    pub fn matches(&self, method: &MethodName) -> bool {
        !method.is_reserved()
            && match self {
                Self::Exact(exact) => exact == method,
                Self::Service(service) => **service == *method.service(),
            }
    }
}

impl FromStr for MethodPattern {
    type Err = MethodError;

    fn from_str(text: &str) -> Result<Self, MethodError> {
        match text.strip_suffix("/*") {
            Some(service) if text.len() <= MAX_LEN && is_service(service) => {
                Ok(Self::Service(service.into()))
            }
            Some(_) => Err(MethodError::Pattern),
            None => text.parse().map(Self::Exact).map_err(|_| MethodError::Pattern),
        }
    }
}

impl fmt::Display for MethodPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(method) => method.fmt(f),
            Self::Service(service) => write!(f, "{service}/*"),
        }
    }
}

fn is_service(text: &str) -> bool {
    text.split('.').all(is_identifier)
}

/// A protobuf identifier: `[A-Za-z_][A-Za-z0-9_]*`.
fn is_identifier(text: &str) -> bool {
    !text.starts_with(|c: char| c.is_ascii_digit())
        && !text.is_empty()
        && text.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'_')
}

/// Longer names exist nowhere and would only fill logs.
const MAX_LEN: usize = 512;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_path_is_exactly_service_and_method() {
        let method = MethodName::from_path("/engine.admin.v1.Admin/GetStatus").unwrap();
        assert_eq!(method.service(), "engine.admin.v1.Admin");
        assert_eq!(method.method(), "GetStatus");
        assert_eq!(method.path(), "/engine.admin.v1.Admin/GetStatus");
        for bad in [
            "engine.Admin/Get",
            "//engine.Admin/Get",
            "/engine.Admin/Get/",
            "/engine.Admin/Get?x=1",
            "/engine.Admin/",
            "/Get",
            "/engine..Admin/Get",
            "/.Admin/Get",
            "/engine.Admin/%47et",
            "/engine.Admin/*",
            "/engine.Admin/Gét",
            "/1engine.Admin/Get",
            "",
            "/",
        ] {
            assert!(MethodName::from_path(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn patterns_are_exact_or_one_service() {
        let get: MethodName = "a.B/Get".parse().unwrap();
        assert!("a.B/*".parse::<MethodPattern>().unwrap().matches(&get));
        assert!("a.B/Get".parse::<MethodPattern>().unwrap().matches(&get));
        assert!(!"a.B/Put".parse::<MethodPattern>().unwrap().matches(&get));
        assert!(!"a.BB/*".parse::<MethodPattern>().unwrap().matches(&get));
        for bad in ["*", "*/*", "a.*/Get", "a.B/G*", "a.B/**", "/*", "a.B"] {
            assert!(bad.parse::<MethodPattern>().is_err(), "{bad}");
        }
    }

    #[test]
    fn patterns_never_match_our_own_services() {
        let own: MethodName = "postern.operations.v1.Operations/Start".parse().unwrap();
        assert!(!"postern.operations.v1.Operations/*".parse::<MethodPattern>().unwrap().matches(&own));
        assert!(!MethodPattern::Exact(own.clone()).matches(&own));
    }

    proptest! {
        #[test]
        fn printing_and_parsing_agree(text in "[a-zA-Z_.*/0-9]{0,40}") {
            if let Ok(pattern) = text.parse::<MethodPattern>() {
                prop_assert_eq!(pattern.to_string(), text);
            }
        }
    }
}
