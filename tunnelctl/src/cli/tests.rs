use clap::{CommandFactory, error::ErrorKind};

use super::*;

fn parse(line: &str) -> Result<Cli, clap::Error> {
    Cli::read(std::iter::once("tunnelctl").chain(line.split('|')).map(OsString::from))
}

fn refused(line: &str) -> ErrorKind {
    parse(line).unwrap_err().kind()
}

#[test]
fn definition_is_consistent() {
    Cli::command().debug_assert();
}

#[test]
fn connect_reads_what_the_guide_says() {
    let line =
        "connect|acme/prod|--method|a.B/C|--method|a.B/*|--for|90m|--reason|why|--reason-type|incident";
    let Command::Connect(connect) = parse(line).unwrap().command else { panic!("not connect") };
    assert_eq!(connect.access.methods.len(), 2);
    assert_eq!(connect.access.ask.wanted, Duration::from_secs(5400));
    assert_eq!(connect.access.ask.reason_type, Occasion::Incident);
}

#[test]
fn refuses_what_the_grammar_does_not_allow() {
    for bad in [
        "connect|acme|--method|a.B/C|--reason|x",
        "connect|acme/prod|--method|a.*|--reason|x",
        "connect|acme/prod|--method|a.B/C|--reason| ",
        "connect|acme/prod|--method|a.B/C|--reason|a\u{202e}b",
        "connect|acme/prod|--method|a.B/C|--reason|x|--for|0s",
        "connect|acme/prod|--method|a.B/C|--reason|x|--for|30",
        "withdraw|not-an-id",
        "--context|../x|clusters",
    ] {
        assert_eq!(refused(bad), ErrorKind::ValueValidation, "{bad}");
    }
}

#[test]
fn connect_takes_methods_or_a_request_to_resume() {
    let id = "0b0e7a52-7f5f-4c0e-9d6e-2f6f1f0b3a11";
    assert!(parse("connect|acme/prod").is_ok());
    assert!(parse(&format!("connect|acme/prod|--resume|{id}|--keep")).is_ok());
    assert_eq!(refused(&format!("connect|acme/prod|--resume|{id}|--reason|x")), ErrorKind::ArgumentConflict);
    assert!(parse("connect|acme/prod|--resume|0B0E").is_ok(), "as `requests` shows it, or its beginning");
    for bad in ["0b0", "0b0e/", "0b0e7a52-7f5f-4c0e-9d6e-2f6f1f0b3a1g"] {
        assert_eq!(refused(&format!("connect|acme/prod|--resume|{bad}")), ErrorKind::ValueValidation);
    }
    assert_eq!(refused("request|access|acme/prod|--reason|x"), ErrorKind::MissingRequiredArgument);
}

#[test]
fn call_understands_the_flags_of_grpcurl() {
    let line = "call|acme/prod|a.B/C|-d|@|-H|x: y|-max-time|5|-protoset=a.pb|-emit-defaults";
    let Command::Call(call) = parse(line).unwrap().command else { panic!("not call") };
    assert_eq!((call.max_time, call.protoset.len()), (Some(Duration::from_secs(5)), 1));
    assert!(call.emit_defaults);
    assert_eq!(refused("call|acme/prod|a.B/C|-max-time|0"), ErrorKind::ValueValidation);
}

#[test]
fn a_proxy_listens_in_one_place() {
    assert_eq!(refused("proxy|acme/prod|--socket|/x|--listen|127.0.0.1:1"), ErrorKind::ArgumentConflict);
    assert_eq!(refused("proxy|acme/prod|--expose-to-network"), ErrorKind::MissingRequiredArgument);
}
