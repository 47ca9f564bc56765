use clap::{CommandFactory, error::ErrorKind};

use super::*;

fn parse(line: &str) -> Result<Cli, clap::Error> {
    Cli::try_parse_from(std::iter::once("tunnelctl").chain(line.split('|')))
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
    assert_eq!(connect.methods.len(), 2);
    assert_eq!(connect.ask.wanted, Duration::from_secs(5400));
    assert_eq!(connect.ask.reason_type, Occasion::Incident);
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
fn connect_needs_methods_or_a_request_to_resume() {
    assert_eq!(refused("connect|acme/prod|--reason|x"), ErrorKind::MissingRequiredArgument);
    let id = "0b0e7a52-7f5f-4c0e-9d6e-2f6f1f0b3a11";
    assert!(parse(&format!("connect|acme/prod|--resume|{id}")).is_ok());
    assert_eq!(refused(&format!("connect|acme/prod|--resume|{id}|--reason|x")), ErrorKind::ArgumentConflict);
}
