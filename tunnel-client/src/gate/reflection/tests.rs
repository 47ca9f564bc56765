use prost::Message;
use tonic_reflection::pb::v1::ExtensionRequest;
use tunnel_protos::dynamic::Descriptors;

use super::*;

fn reflection(methods: &[&str]) -> Reflection {
    let descriptors = Descriptors::decode(tunnel_protos::FILE_DESCRIPTOR_SET).unwrap();
    let methods: Vec<_> = methods.iter().map(|name| name.parse().unwrap()).collect();
    Reflection::new(descriptors.prune(&methods))
}

fn ask(reflection: &Reflection, asked: MessageRequest) -> MessageResponse {
    let request = ServerReflectionRequest { host: "here".to_owned(), message_request: Some(asked) };
    let answer = reflection.answer(request.clone());
    assert_eq!((answer.valid_host.as_str(), answer.original_request), ("here", Some(request)));
    answer.message_response.unwrap()
}

/// Names of the files that came, or the code of the error.
fn files(reflection: &Reflection, asked: MessageRequest) -> Result<Vec<String>, i32> {
    match ask(reflection, asked) {
        MessageResponse::FileDescriptorResponse(found) => {
            let name = |bytes: &Vec<u8>| {
                prost_types::FileDescriptorProto::decode(&**bytes).unwrap().name().to_owned()
            };
            Ok(found.file_descriptor_proto.iter().map(name).collect())
        }
        MessageResponse::ErrorResponse(error) => Err(error.error_code),
        other => panic!("{other:?}"),
    }
}

const REVOKE: &str = "postern.approvers.v1.Approvers/Revoke";
const GET: &str = "postern.approvers.v1.Approvers/GetRequest";
const APPROVERS: &str = "postern/approvers/v1/approvers.proto";
const NOT_FOUND: i32 = tonic::Code::NotFound as i32;

#[test]
fn lists_exactly_the_services_that_are_granted() {
    let list = |methods: &[&str]| match ask(&reflection(methods), MessageRequest::ListServices("*".into())) {
        MessageResponse::ListServicesResponse(found) => {
            found.service.into_iter().map(|service| service.name).collect::<Vec<_>>()
        }
        other => panic!("{other:?}"),
    };
    assert_eq!(list(&[REVOKE]), ["postern.approvers.v1.Approvers"]);
    assert_eq!(list(&[]), Vec::<String>::new());
}

#[test]
fn a_symbol_comes_with_its_file_and_all_that_it_imports() {
    let reflection = reflection(&[REVOKE, GET]);
    let symbol = |name: &str| files(&reflection, MessageRequest::FileContainingSymbol(name.into()));
    let found = symbol("postern.approvers.v1.Approvers").unwrap();
    assert_eq!(found[0], APPROVERS);
    assert!(found.len() > 1, "{found:?}");
    assert_eq!(symbol("postern.approvers.v1.Approvers.Revoke").unwrap(), found);
}

#[test]
fn what_is_not_granted_is_not_found() {
    let reflection = reflection(&[REVOKE]);
    for name in ["postern.approvers.v1.Approvers.Pause", "postern.approvers.v1.PauseRequest", "no.Such"] {
        let asked = MessageRequest::FileContainingSymbol(name.into());
        assert_eq!(files(&reflection, asked), Err(NOT_FOUND), "{name}");
    }
    let asked = MessageRequest::FileByFilename("postern/operators/v1/operators.proto".into());
    assert_eq!(files(&reflection, asked), Err(NOT_FOUND));
}

#[test]
fn a_file_comes_by_its_name() {
    let asked = MessageRequest::FileByFilename(APPROVERS.into());
    assert_eq!(files(&reflection(&[REVOKE]), asked).unwrap(), [APPROVERS]);
}

#[test]
fn there_are_no_extensions() {
    let reflection = reflection(&[REVOKE]);
    let numbers = |name: &str| ask(&reflection, MessageRequest::AllExtensionNumbersOfType(name.into()));
    let MessageResponse::AllExtensionNumbersResponse(none) = numbers("postern.approvers.v1.RevokeRequest")
    else {
        panic!("a type that may be seen has an answer")
    };
    assert_eq!(none.extension_number, Vec::<i32>::new());
    assert!(matches!(numbers("no.Such"), MessageResponse::ErrorResponse(_)));
    let asked = ExtensionRequest { containing_type: "a.B".into(), extension_number: 7 };
    assert_eq!(files(&reflection, MessageRequest::FileContainingExtension(asked)), Err(NOT_FOUND));
}

#[test]
fn a_request_that_asks_nothing_is_told_so() {
    let answer = reflection(&[]).answer(ServerReflectionRequest::default());
    let Some(MessageResponse::ErrorResponse(error)) = answer.message_response else { panic!("{answer:?}") };
    assert_eq!(error.error_code, tonic::Code::InvalidArgument as i32);
}
