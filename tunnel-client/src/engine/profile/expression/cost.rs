//! What an operation inside a loop costs beyond the one step that it is: texts and lists are read to their end. Pure.
//!
//! A step of a loop pays for reading the element that it is about, since all elements together are no more than what
//! the engine answered; it pays for nothing else that may be long.

use cel::common::ast::{CallExpr, ComprehensionExpr, Expr, IdedExpr, operators};

use super::check::Shape;

/// The loop's name for its element, if each is another part of an answer; of what a `map` made nothing is known.
pub(super) fn part_of(loops: &ComprehensionExpr) -> Option<&str> {
    let parts = match &loops.iter_range.expr {
        Expr::Comprehension(inner) => is_filter(inner) && part_of(inner).is_some(),
        _ => root(&loops.iter_range).is_some(),
    };
    parts.then_some(loops.iter_var.as_str())
}

/// Whether the step of the loop around it, whose element is `part`, pays for `call`; `shapes` are of its operands.
pub(super) fn is_paid(call: &CallExpr, shapes: &[Shape], part: Option<&str>) -> bool {
    let operands: Vec<_> = call.target.as_deref().into_iter().chain(&call.args).collect();
    let small = |place: usize| operands.get(place).is_some_and(|operand| is_small(operand, part));
    match call.func_name.as_str() {
        name if JUDGING.contains(&name) => true,
        // Read as far as the shorter one goes.
        name if COMPARING.contains(&name) => small(0) || small(1),
        operators::IN => small(1) || small(0) && matches!(shapes.get(1), Some(Shape::Map(_))),
        operators::INDEX => small(1),
        "size" if matches!(shapes.first(), Some(Shape::List(_) | Shape::Map(_))) => true,
        _ => (0..operands.len()).all(small),
    }
}

/// Whether it is no longer than the expression itself, or than the element.
fn is_small(expression: &IdedExpr, part: Option<&str>) -> bool {
    let all = |call: &CallExpr| {
        call.target.as_deref().into_iter().chain(&call.args).all(|operand| is_small(operand, part))
    };
    match &expression.expr {
        Expr::Literal(_) => true,
        Expr::List(list) => list.elements.iter().all(|element| is_small(element, part)),
        Expr::Call(call) => match call.func_name.as_str() {
            operators::INDEX => is_part(expression, part),
            operators::ADD | operators::CONDITIONAL | "string" => all(call),
            // Yes, no, or a number.
            _ => true,
        },
        Expr::Ident(_) | Expr::Select(_) => is_part(expression, part),
        _ => false,
    }
}

/// Of a name that a loop counts with there is no more than one.
fn is_part(expression: &IdedExpr, part: Option<&str>) -> bool {
    root(expression).is_some_and(|root| root.starts_with('@') || Some(root) == part)
}

/// The name that a path begins with.
fn root(expression: &IdedExpr) -> Option<&str> {
    match &expression.expr {
        Expr::Ident(name) => Some(name),
        Expr::Select(select) => root(&select.operand),
        Expr::Call(call) if call.func_name == operators::INDEX => root(call.args.first()?),
        _ => None,
    }
}

/// Whether it collects some of its elements as they are.
fn is_filter(loops: &ComprehensionExpr) -> bool {
    let Expr::Call(choice) = &loops.loop_step.expr else { return false };
    let Some(Expr::Call(add)) = choice.args.get(1).map(|yes| &yes.expr) else { return false };
    let Some(Expr::List(more)) = add.args.get(1).map(|more| &more.expr) else { return false };
    let names = |element: &IdedExpr| matches!(&element.expr, Expr::Ident(name) if *name == loops.iter_var);
    choice.func_name == operators::CONDITIONAL && more.elements.iter().all(names)
}

const COMPARING: [&str; 8] = [
    operators::EQUALS,
    operators::NOT_EQUALS,
    operators::GREATER_EQUALS,
    operators::LESS_EQUALS,
    operators::GREATER,
    operators::LESS,
    "startsWith",
    "endsWith",
];

/// Over truths and numbers, or over one of two.
const JUDGING: [&str; 10] = [
    operators::CONDITIONAL,
    operators::LOGICAL_AND,
    operators::LOGICAL_OR,
    operators::LOGICAL_NOT,
    operators::NOT_STRICTLY_FALSE,
    operators::SUBSTRACT,
    operators::MULTIPLY,
    operators::DIVIDE,
    operators::MODULO,
    operators::NEGATE,
];
