//! An expression against the schema, before there is an answer: a name, field or function that is not there is told
//! when the profile is read, not when an operation waits for it. Pure.

use cel::common::ast::{CallExpr, ComprehensionExpr, EntryExpr, Expr, IdedExpr, SelectExpr, operators};
use tunnel_protos::dynamic::{FieldDescriptor, Kind, MessageDescriptor};

use super::{
    ExpressionError,
    cost::{is_paid, part_of},
    too_deep,
};

/// What is known of a value before there is one.
#[derive(Debug, Clone, PartialEq, Default)]
pub(in crate::engine::profile) enum Shape {
    /// A message.
    Message(MessageDescriptor),
    /// A list of such values.
    List(Box<Shape>),
    /// A map to such values.
    Map(Box<Shape>),
    /// Something without fields, or nothing is known.
    #[default]
    Any,
}

/// What an expression may name.
#[derive(Debug, Clone, Default)]
pub(in crate::engine::profile) struct Names(Vec<(String, Shape)>);

impl Names {
    /// With one more.
    #[must_use]
    pub(in crate::engine::profile) fn with(mut self, name: &str, shape: Shape) -> Self {
        self.0.push((name.to_owned(), shape));
        self
    }
}

impl Shape {
    /// Of the elements, if it is a list.
    pub(in crate::engine::profile) fn element(self) -> Self {
        match self {
            Self::List(element) => *element,
            Self::Message(_) | Self::Map(_) | Self::Any => Self::Any,
        }
    }

    fn of(field: &FieldDescriptor) -> Self {
        let one = |kind: Kind| match kind {
            Kind::Message(message) => Self::Message(message),
            _ => Self::Any,
        };
        match field.kind() {
            Kind::Message(entry) if field.is_map() => {
                Self::Map(Box::new(one(entry.map_entry_value_field().kind())))
            }
            kind if field.is_list() => Self::List(Box::new(one(kind))),
            kind => one(kind),
        }
    }
}

/// The shape of what `expression` gives, and how deep its loops nest; what reads to the end of something in each step of
/// a loop counts as a loop.
pub(super) fn check(expression: &IdedExpr, names: &Names) -> Result<(Shape, u32), ExpressionError> {
    let mut checker = Checker { names: names.0.clone(), levels: 0, parts: Vec::new(), deepest: 0 };
    let shape = checker.shape(expression)?;
    Ok((shape, checker.deepest))
}

struct Checker {
    names: Vec<(String, Shape)>,
    levels: usize,
    /// Of each loop around, its element as a part of an answer, if it is one.
    parts: Vec<Option<String>>,
    deepest: u32,
}

impl Checker {
    /// Whoever evaluates it calls itself for each level, too, with the stack that is there.
    fn shape(&mut self, expression: &IdedExpr) -> Result<Shape, ExpressionError> {
        if self.levels == MOST_LEVELS {
            return Err(too_deep());
        }
        self.levels += 1;
        let shape = self.shape_of(&expression.expr);
        self.levels -= 1;
        shape
    }

    fn shape_of(&mut self, expression: &Expr) -> Result<Shape, ExpressionError> {
        match expression {
            Expr::Ident(name) => self.name(name),
            Expr::Select(select) => self.select(select),
            Expr::Call(call) => self.call(call),
            Expr::Comprehension(comprehension) => self.comprehension(comprehension),
            Expr::List(list) => {
                let shapes = list.elements.iter().map(|element| self.shape(element));
                let shapes: Vec<_> = shapes.collect::<Result<_, _>>()?;
                Ok(Shape::List(Box::new(shapes.into_iter().next().unwrap_or_default())))
            }
            Expr::Map(map) => self.entries(map.entries.iter().map(|entry| &entry.expr)),
            Expr::Literal(_) => Ok(Shape::Any),
            Expr::Struct(_) | Expr::Unspecified => Err(unknown("an expression makes no messages")),
        }
    }

    fn name(&self, name: &str) -> Result<Shape, ExpressionError> {
        let found = self.names.iter().rev().find(|(known, _)| known == name);
        found.map(|(_, shape)| shape.clone()).ok_or_else(|| {
            let known =
                self.names.iter().map(|(known, _)| known.as_str()).filter(|known| !known.starts_with('@'));
            unknown(format!("`{name}` is not known here; known: {}", known.collect::<Vec<_>>().join(", ")))
        })
    }

    fn select(&mut self, select: &SelectExpr) -> Result<Shape, ExpressionError> {
        match self.shape(&select.operand)? {
            Shape::Message(message) => field(&message, &select.field),
            Shape::Map(value) => Ok(*value),
            Shape::List(_) => Err(unknown(format!("`{}` of a list; pick an element first", select.field))),
            Shape::Any => Ok(Shape::Any),
        }
    }

    fn call(&mut self, call: &CallExpr) -> Result<Shape, ExpressionError> {
        let name = call.func_name.as_str();
        if !OPERATORS.contains(&name) && !FUNCTIONS.contains(&name) {
            return Err(unknown(format!(
                "there is no function `{name}`; there are {}",
                FUNCTIONS.join(", ")
            )));
        }
        let parts = call.target.as_deref().into_iter().chain(&call.args);
        let shapes: Vec<_> = parts.map(|part| self.shape(part)).collect::<Result<_, _>>()?;
        let part = self.parts.last().and_then(Option::as_deref);
        if !is_paid(call, &shapes, part) {
            self.reach(self.parts.len() + 1);
        }
        let at = |place: usize| shapes.get(place).cloned().unwrap_or_default();
        Ok(match (name, at(0)) {
            (operators::INDEX, Shape::List(element) | Shape::Map(element)) => *element,
            (operators::CONDITIONAL, _) => at(1),
            (operators::ADD, first @ Shape::List(_)) => first,
            _ => Shape::Any,
        })
    }

    fn entries<'e>(
        &mut self,
        entries: impl Iterator<Item = &'e EntryExpr>,
    ) -> Result<Shape, ExpressionError> {
        for entry in entries {
            match entry {
                EntryExpr::MapEntry(entry) => {
                    self.shape(&entry.key)?;
                    self.shape(&entry.value)?;
                }
                EntryExpr::StructField(field) => drop(self.shape(&field.value)?),
            }
        }
        Ok(Shape::Any)
    }

    /// `all`, `exists`, `exists_one`, `map` and `filter` come as this.
    fn comprehension(&mut self, loops: &ComprehensionExpr) -> Result<Shape, ExpressionError> {
        let range = self.shape(&loops.iter_range)?;
        if let Shape::Message(message) = range {
            return Err(unknown(format!("a {} is no list", message.name())));
        }
        self.shape(&loops.accu_init)?;
        let known = self.names.len();
        self.names.push((loops.iter_var.clone(), range.element()));
        self.names.extend(loops.iter_var2.iter().map(|name| (name.clone(), Shape::Any)));
        self.names.push((loops.accu_var.clone(), Shape::Any));
        self.parts.push(part_of(loops).map(ToOwned::to_owned));
        self.reach(self.parts.len());
        let inner = self.inside(loops);
        self.parts.pop();
        self.names.truncate(known);
        inner
    }

    fn reach(&mut self, depth: usize) {
        self.deepest = self.deepest.max(u32::try_from(depth).unwrap_or(u32::MAX));
    }

    fn inside(&mut self, loops: &ComprehensionExpr) -> Result<Shape, ExpressionError> {
        self.shape(&loops.loop_cond)?;
        self.shape(&loops.result)?;
        self.collected(&loops.loop_step)
    }

    /// The shape of the list that `map` and `filter` collect, one element per step.
    fn collected(&mut self, step: &IdedExpr) -> Result<Shape, ExpressionError> {
        let Expr::Call(call) = &step.expr else { return self.shape(step).map(|_| Shape::Any) };
        match (call.func_name.as_str(), call.args.as_slice()) {
            (operators::CONDITIONAL, [condition, yes, no]) => {
                self.shape(condition)?;
                self.shape(no)?;
                self.collected(yes)
            }
            (operators::ADD, [before, more]) if matches!(more.expr, Expr::List(_)) => {
                self.shape(before)?;
                self.shape(more)
            }
            _ => self.call(call).map(|_| Shape::Any),
        }
    }
}

fn field(message: &MessageDescriptor, name: &str) -> Result<Shape, ExpressionError> {
    if let Some(field) = message.get_field_by_name(name) {
        return Ok(Shape::of(&field));
    }
    let meant = message
        .get_field_by_json_name(name)
        .map(|field| format!("; the .proto file says `{}`", field.name()));
    Err(unknown(format!("{} has no field `{name}`{}", message.full_name(), meant.unwrap_or_default())))
}

/// Of an expression's tree; `a + b + c` has two.
const MOST_LEVELS: usize = 64;

fn unknown(problem: impl Into<String>) -> ExpressionError {
    ExpressionError::Unknown(problem.into())
}

/// Those of the standard that profiles need; each takes time in proportion to what it is given.
const FUNCTIONS: [&str; 9] =
    ["size", "contains", "startsWith", "endsWith", "string", "int", "uint", "double", "bool"];

const OPERATORS: [&str; 19] = [
    operators::CONDITIONAL,
    operators::LOGICAL_AND,
    operators::LOGICAL_OR,
    operators::LOGICAL_NOT,
    operators::SUBSTRACT,
    operators::ADD,
    operators::MULTIPLY,
    operators::DIVIDE,
    operators::MODULO,
    operators::EQUALS,
    operators::NOT_EQUALS,
    operators::GREATER_EQUALS,
    operators::LESS_EQUALS,
    operators::GREATER,
    operators::LESS,
    operators::NEGATE,
    operators::INDEX,
    operators::IN,
    operators::NOT_STRICTLY_FALSE,
];
