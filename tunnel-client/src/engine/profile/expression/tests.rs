use proptest::prelude::*;
use tunnel_protos::dynamic::DynamicMessage;

use super::{stage::MOST_STEPS, *};
use crate::engine::profile::testing::{answer, method};

fn names() -> Names {
    Names::default().with("response", Shape::Message(method("Status").output()))
}

fn parse(text: &str) -> Result<Expression, ExpressionError> {
    Expression::parse(text, &names()).map(|(expression, _)| expression)
}

fn on(message: &DynamicMessage) -> Scope {
    Scope::default().message("response", message).unwrap()
}

impl Scope {
    /// One alone.
    fn bool(&self, expression: &Expression) -> Result<bool, EvaluationError> {
        self.evaluate(|stage| expression.bool(stage))
    }
}

fn status() -> DynamicMessage {
    answer(
        "Status",
        r#"{"healthy":true,"parts":[{"name":"a","replicas":3},{"name":"b","replicas":1}],
            "settings":{"x":"1"},"big":"18446744073709551615"}"#,
    )
}

#[test]
fn answers_have_the_fields_of_the_proto_file() {
    for (text, wanted) in [
        ("response.healthy", true),
        ("response.parts[0].replicas == 3", true),
        ("response.parts.all(p, p.replicas > 0)", true),
        ("response.parts.exists(p, p.name == 'c')", false),
        ("response.parts.map(p, p.name) == ['a', 'b']", true),
        ("size(response.parts) == 2 && response.settings['x'] == '1'", true),
        ("'x' in response.settings && !('y' in response.settings)", true),
        ("has(response.maybe) || has(response.detail)", false),
        ("response.big > 5", true),
        ("response.parts[0].release_name == ''", true),
        ("response.parts.filter(p, p.replicas > 1)[0].name.startsWith('a')", true),
    ] {
        assert_eq!(on(&status()).bool(&parse(text).unwrap()), Ok(wanted), "{text}");
    }
}

#[test]
fn each_kind_of_value_is_told_from_the_others() {
    let scope = on(&status());
    assert_eq!(scope.evaluate(|stage| parse("response.parts[0].replicas").unwrap().number(stage)), Ok(3));
    assert_eq!(scope.evaluate(|stage| parse("response.big").unwrap().number(stage)), Ok(u64::MAX));
    let name = scope.evaluate(|stage| parse("response.parts[1].name").unwrap().string(stage));
    assert_eq!(name.as_deref(), Ok("b"));
    let parts =
        scope.evaluate(|stage| Ok::<_, EvaluationError>(parse("response.parts").unwrap().list(stage)?.len()));
    assert_eq!(parts, Ok(2));
    assert_eq!(scope.evaluate(|stage| parse("response.settings").unwrap().map(stage)).unwrap()["x"], "1");
    for text in ["1", "'yes'", "response.parts"] {
        let error = scope.bool(&parse(text).unwrap()).unwrap_err().to_string();
        assert!(error.contains("instead of true or false"), "{error}");
    }
    assert!(scope.evaluate(|stage| parse("0 - 1").unwrap().number(stage)).is_err());
}

#[test]
fn what_is_not_there_is_told_before_there_is_an_answer() {
    for (text, says) in [
        ("response.helthy", "shop.v1.StatusReply has no field `helthy`"),
        ("respones.healthy", "`respones` is not known here; known: response"),
        ("response.parts.name", "`name` of a list"),
        ("response.parts.filter(p, p.nam == 'a')", "has no field `nam`"),
        ("response.parts.map(p, p)[0].nam", "has no field `nam`"),
        ("response.parts.filter(p, p.replicas > 1)[0].nam == ''", "has no field `nam`"),
        ("response.parts[0].releaseName", "the .proto file says `release_name`"),
        ("response.healthy.matches('x')", "there is no function `matches`"),
        ("now() > 3", "there is no function `now`"),
        ("response.healthy &&", "not an expression"),
        ("Foo{a: 1}", "makes no messages"),
        ("", "not an expression"),
    ] {
        let error = parse(text).unwrap_err().to_string();
        assert!(error.contains(says), "{text}: {error}");
    }
    assert_eq!(parse(&"1+".repeat(600)).unwrap_err(), ExpressionError::Long);
}

#[test]
fn what_fails_is_an_error_that_tells_no_value() {
    let secret = answer("Status", r#"{"settings":{"password":"hunter2"},"detail":{"text":"hunter2"}}"#);
    for text in [
        "response.parts[0].replicas > 0",
        "response.settings['none'] == ''",
        "response.detail.text + 1 == 2",
        "response.detail.text > 1",
        "int(response.detail.text) > 1",
        "1 / 0 == 1",
        "9223372036854775807 + 1 > 0",
    ] {
        let error = on(&secret).bool(&parse(text).unwrap()).unwrap_err().to_string();
        assert!(!error.contains("hunter2"), "{error}");
    }
    let error = on(&secret).bool(&parse("response.settings").unwrap()).unwrap_err().to_string();
    assert!(!error.contains("hunter2"), "{error}");
}

#[test]
fn an_answer_without_end_is_not_looked_at() {
    let parts = vec![r#"{"name":"a"}"#; MOST_STEPS.isqrt()].join(",");
    let large = answer("Status", &format!(r#"{{"parts":[{parts}]}}"#));
    let once = parse("response.parts.all(p, p.name == 'a')").unwrap();
    let twice = parse("response.parts.all(p, response.parts.all(q, q.name == p.name))").unwrap();
    assert_eq!(on(&large).bool(&once), Ok(true));
    assert!(on(&large).bool(&twice).unwrap_err().to_string().contains("too many steps"));
    let parts = vec!["{}"; 20_001].join(",");
    let larger = answer("Status", &format!(r#"{{"parts":[{parts}]}}"#));
    assert_eq!(Scope::default().message("response", &larger).unwrap_err(), TooLarge);
}

#[test]
fn what_reads_to_an_end_in_each_step_of_a_loop_counts_as_a_loop() {
    let (names, mut wrong) = (names().with("targets", Shape::List(Box::default())), Vec::new());
    for (paid, text) in [
        (1, "response.detail.text + response.detail.text == 'a'"),
        (1, "response.parts.all(p, p.name == 'a' && p.name.contains('b') && p.name + 'c' != '')"),
        (
            1,
            "response.parts.all(p, p.name == response.detail.text || p.name.startsWith(response.detail.text))",
        ),
        (1, "response.parts.all(p, p.name in response.settings && p.name in ['a', 'b'])"),
        (1, "response.parts.all(p, p.replicas - 1 < size(response.parts) * 2)"),
        (1, "response.parts.filter(p, p.replicas > 1).all(p, string(p.replicas) + p.name != 'x')"),
        (1, "response.parts.exists_one(p, p.name == 'a')"),
        (2, "response.parts.all(p, p.name in targets)"),
        (2, "response.parts.all(p, response.detail.text == response.settings['x'])"),
        (2, "response.parts.all(p, response.parts == response.parts)"),
        (2, "response.parts.all(p, response.detail.text.contains(p.name))"),
        (2, "response.parts.all(p, p.name.contains(response.detail.text))"),
        (2, "response.parts.map(p, response.detail.text + p.name) == []"),
        (2, "response.parts.map(p, response.detail.text).all(t, t == t)"),
        (2, "response.parts.all(p, response.settings[response.detail.text] == 'x')"),
        (3, "response.parts.all(p, response.parts.all(q, q.name == 'a' && p.name.contains('b')))"),
        (2, "response.parts.all(p, response.parts.all(q, q.name == p.name))"),
    ] {
        let (read, _) = Expression::parse(text, &names).unwrap();
        if read.nesting != paid {
            wrong.push((read.nesting, paid, text));
        }
    }
    assert_eq!(wrong, []);
}

#[test]
fn texts_cost_what_they_are_long() {
    let text = "x".repeat(1 << 21);
    let parts = [r#"{"name":"a"}"#; 10].join(",");
    let large = answer("Status", &format!(r#"{{"parts":[{parts}],"detail":{{"text":"{text}"}}}}"#));
    let once = parse("response.detail.text.endsWith('x') && response.parts.all(p, p.name == 'a')").unwrap();
    assert_eq!(on(&large).bool(&once), Ok(true));
    for often in [
        "response.parts.map(p, response.detail.text + p.name)[0] != ''",
        "response.parts.all(p, response.detail.text.contains(p.name))",
    ] {
        let refused = on(&large).bool(&parse(often).unwrap()).unwrap_err().to_string();
        assert!(refused.contains("too many steps"), "{refused}");
    }
}

#[test]
fn all_that_is_evaluated_together_has_one_bound() {
    let parts = vec![r#"{"name":"a"}"#; 4_000].join(",");
    let large = answer("Status", &format!(r#"{{"parts":[{parts}]}}"#));
    let cheap = parse("size(response.parts) == 4000").unwrap();
    let often =
        |times: usize| on(&large).evaluate(|stage| (0..times).try_for_each(|_| cheap.bool(stage).map(drop)));
    assert_eq!(often(256), Ok(()));
    assert!(often(1_000).unwrap_err().to_string().contains("too many steps"));
}

#[test]
fn an_inner_name_is_seen_inside_only() {
    let names = names().with("node", Shape::Any);
    let read = |text: &str| Expression::parse(text, &names).unwrap().0;
    let both = read("node.name == response.parts[0].name");
    let seen = on(&status()).evaluate(|stage| {
        let parts = read("response.parts").list(stage)?;
        let inside = parts.iter().map(|part| both.bool(&stage.with("node", part)));
        Ok::<_, EvaluationError>((inside.collect::<Result<Vec<_>, _>>()?, both.bool(stage).is_err()))
    });
    assert_eq!(seen, Ok((vec![true, false], true)));
}

proptest! {
    #[test]
    fn no_text_breaks_the_reader(text in "[ -~]{0,64}") {
        let _either = parse(&text);
    }

    #[test]
    fn no_nesting_breaks_the_reader(depth in 1_usize..500, kind in 0_usize..5) {
        let (open, close) = [("(", ")"), ("[", "]"), ("!", ""), ("1+", ""), ("true?true:", "")][kind];
        if let Ok(read) = parse(&format!("{}true{}", open.repeat(depth), close.repeat(depth))) {
            let _either = on(&status()).bool(&read);
        }
    }
}

#[test]
fn what_people_write_is_not_too_deep() {
    let sum = format!("1{} == 61", " + 1".repeat(60));
    assert_eq!(on(&status()).bool(&parse(&sum).unwrap()), Ok(true));
    let brackets = format!("{}true{}", "(".repeat(60), ")".repeat(60));
    assert_eq!(on(&status()).bool(&parse(&brackets).unwrap()), Ok(true));
    let either = vec!["response.parts[0].name != 'storage-a-b'"; 20].join(" && ");
    assert_eq!(on(&status()).bool(&parse(&either).unwrap()), Ok(true));
    for deep in ["1+".repeat(100) + "1", "(".repeat(65) + "1" + &")".repeat(65)] {
        assert_eq!(parse(&deep).unwrap_err(), too_deep(), "{deep}");
    }
}
