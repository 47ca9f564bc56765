//! Descriptors in the language of proto files, as grpcurl describes them.

use tunnel_protos::dynamic::{
    CallKind, Descriptors, EnumDescriptor, FieldDescriptor, Kind, MessageDescriptor, Method,
};

/// The service, method, message or enumeration of this name; a method with its messages.
pub fn symbol(set: &Descriptors, name: &str) -> Option<String> {
    service(set, name)
        .or_else(|| method(set, name))
        .or_else(|| set.message(name).map(|found| message(&found)))
        .or_else(|| set.enumeration(name).map(|found| enumeration(&found)))
}

fn service(set: &Descriptors, name: &str) -> Option<String> {
    let rpcs: Vec<_> =
        set.methods().filter(|method| method.name().service() == name).map(|one| rpc(&one)).collect();
    (!rpcs.is_empty()).then(|| format!("service {name} {{\n  {}\n}}", rpcs.join("\n  ")))
}

fn method(set: &Descriptors, name: &str) -> Option<String> {
    let name = name.trim_start_matches('/');
    let dotted = |method: &Method| format!("{}.{}", method.name().service(), method.name().method());
    let found = set.methods().find(|method| method.name().as_str() == name || dotted(method) == name)?;
    Some([rpc(&found), message(&found.input()), message(&found.output())].join("\n"))
}

fn rpc(method: &Method) -> String {
    let (input, output) = match method.kind() {
        CallKind::Unary => ("", ""),
        CallKind::ClientStream => ("stream ", ""),
        CallKind::ServerStream => ("", "stream "),
        CallKind::Bidirectional => ("stream ", "stream "),
    };
    let (takes, gives) = (method.input(), method.output());
    let name = method.name().method();
    format!("rpc {name} ({input}.{}) returns ({output}.{});", takes.full_name(), gives.full_name())
}

fn message(message: &MessageDescriptor) -> String {
    let mut fields = message.fields().map(|one| format!("  {}\n", field(&one))).collect::<String>();
    if !fields.is_empty() {
        fields.insert(0, '\n');
    }
    format!("message {} {{{fields}}}", message.full_name())
}

fn field(field: &FieldDescriptor) -> String {
    let label = match field {
        map if map.is_map() => return format!("{} {} = {};", map_type(map), map.name(), map.number()),
        list if list.is_list() => "repeated ",
        optional
            if optional.supports_presence()
                && optional.containing_oneof().is_some_and(|one| one.is_synthetic()) =>
        {
            "optional "
        }
        _ => "",
    };
    format!("{label}{} {} = {};", kind(&field.kind()), field.name(), field.number())
}

fn map_type(field: &FieldDescriptor) -> String {
    match field.kind() {
        Kind::Message(entry) => {
            let (key, value) = (entry.map_entry_key_field(), entry.map_entry_value_field());
            format!("map<{}, {}>", kind(&key.kind()), kind(&value.kind()))
        }
        other => kind(&other),
    }
}

fn kind(kind: &Kind) -> String {
    match kind {
        Kind::Message(message) => format!(".{}", message.full_name()),
        Kind::Enum(enumeration) => format!(".{}", enumeration.full_name()),
        scalar => format!("{scalar:?}").to_lowercase(),
    }
}

fn enumeration(enumeration: &EnumDescriptor) -> String {
    let values = enumeration.values().map(|value| format!("  {} = {};\n", value.name(), value.number()));
    format!("enum {} {{\n{}}}", enumeration.full_name(), values.collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn described(name: &str) -> String {
        let set = Descriptors::decode(tunnel_protos::FILE_DESCRIPTOR_SET).unwrap();
        symbol(&set, name).unwrap_or_default()
    }

    #[test]
    fn services_methods_messages_and_enums_have_their_form() {
        let service = described("postern.operators.v1.Operators");
        assert!(service.starts_with("service postern.operators.v1.Operators {\n  rpc WhoAmI ("), "{service}");
        let method = described("postern.operators.v1.Operators/WatchRequest");
        assert!(
            method
                .starts_with("rpc WatchRequest (.postern.operators.v1.WatchRequestRequest) returns (stream ")
        );
        assert_eq!(method, described("postern.operators.v1.Operators.WatchRequest"));
        let message = described("postern.operators.v1.Cluster");
        assert!(message.contains("  repeated .postern.v1.TargetHealth targets = 5;\n"), "{message}");
        assert!(described("postern.operators.v1.Delivery").contains("  DELIVERY_SENT = 2;\n"));
        assert_eq!(
            described("postern.operators.v1.WhoAmIRequest"),
            "message postern.operators.v1.WhoAmIRequest {}"
        );
        assert_eq!(described("no.Such"), "");
    }
}
