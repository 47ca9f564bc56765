//! The access list, indexed so that a call's rule is found without walking the list.

use std::collections::HashMap;

use tunnel_protos::{MethodName, MethodPattern};

use super::{Approval, Methods, Rule};

/// Rules in order, and where each method and service is named.
#[derive(Debug, Default)]
pub(super) struct AccessList {
    rules: Vec<Rule>,
    exact: HashMap<MethodName, Vec<usize>>,
    services: HashMap<Box<str>, Vec<usize>>,
}

/// By which kind of pattern a rule names a method.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Named {
    Exactly,
    ByService,
}

impl AccessList {
    pub(super) fn new(rules: Vec<Rule>) -> Self {
        let mut list = Self { rules, ..Self::default() };
        for (at, rule) in list.rules.iter().enumerate() {
            for pattern in &rule.methods {
                match pattern {
                    MethodPattern::Exact(method) => list.exact.entry(method.clone()).or_default().push(at),
                    MethodPattern::Service(service) => {
                        list.services.entry(service.clone()).or_default().push(at);
                    }
                }
            }
        }
        list
    }

    pub(super) fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// The first rule that covers `method`; first match wins.
    pub(super) fn first(&self, method: &MethodName, raw: bool, methods: &Methods) -> Option<&Rule> {
        if method.is_reserved() {
            return None;
        }
        let exact = self.exact.get(method).into_iter().flatten().map(|at| (*at, Named::Exactly));
        let service = self.services.get(method.service()).into_iter().flatten();
        let candidates = exact.chain(service.map(|at| (*at, Named::ByService)));
        let facts = Facts { raw, operation: methods.is_operation(method), exists: methods.may_exist(method) };
        let covering = candidates.filter(|(at, named)| self.rules[*at].covers(*named, facts));
        covering.min().map(|(at, _)| &self.rules[at])
    }
}

/// What decides whether a rule that names a method covers it.
#[derive(Debug, Clone, Copy)]
struct Facts {
    raw: bool,
    operation: bool,
    exists: bool,
}

impl Rule {
    fn covers(&self, named: Named, facts: Facts) -> bool {
        // A no covers all that it names; only a yes needs care.
        if self.approval == Approval::Deny {
            return true;
        }
        match named {
            Named::Exactly => !facts.operation || (self.raw && facts.raw),
            // A pattern stands for what the descriptors list: a method they do not know was never looked at by anyone.
            Named::ByService => !facts.operation && facts.exists,
        }
    }
}
