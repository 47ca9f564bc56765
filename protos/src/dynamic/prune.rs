//! The part of a descriptor set that some methods need, for whoever may see no more than those methods.
//!
//! Nothing else leaves: no other methods, no messages they do not reach, no options, extensions, reserved names or
//! comments. A message that only holds a nested one that is needed stays as an empty shell.

use std::collections::{BTreeMap, BTreeSet};

use prost::Message;
use prost_reflect::{
    Kind, MessageDescriptor,
    prost_types::{
        DescriptorProto, EnumDescriptorProto, EnumOptions, EnumValueDescriptorProto, FieldDescriptorProto,
        FieldOptions, FileDescriptorProto, MessageOptions, MethodDescriptorProto, OneofDescriptorProto,
        ServiceDescriptorProto, descriptor_proto::ExtensionRange,
    },
};

use super::Descriptors;
use crate::MethodName;

/// A pruned descriptor set.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pruned {
    /// Full names of the services, each once.
    pub services: Vec<String>,
    /// The files.
    pub files: Vec<PrunedFile>,
}

/// One file of a pruned descriptor set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PrunedFile {
    /// Its name.
    pub name: String,
    /// The encoded `FileDescriptorProto`.
    pub encoded: Vec<u8>,
    /// Places of the files that it imports.
    pub imports: Vec<usize>,
    /// Full names of all that it defines, fields, values and methods included.
    pub symbols: Vec<String>,
}

impl Descriptors {
    /// Keeps what `methods` need; those that the set does not know are left out.
    pub fn prune<'m>(&self, methods: impl IntoIterator<Item = &'m MethodName>) -> Pruned {
        let mut keep = Keep::default();
        for method in methods.into_iter().filter_map(|name| self.method(name)) {
            keep.methods.insert(method.name().as_str().replace('/', "."));
            keep.reach(method.input());
            keep.reach(method.output());
        }
        keep.files(self.0.file_descriptor_protos())
    }
}

/// Full names of what is kept.
#[derive(Default)]
struct Keep {
    methods: BTreeSet<String>,
    types: BTreeSet<String>,
}

impl Keep {
    /// Keeps a message and all that it reaches.
    fn reach(&mut self, message: MessageDescriptor) {
        let mut waiting = vec![message];
        while let Some(message) = waiting.pop() {
            if !self.types.insert(message.full_name().to_owned()) {
                continue;
            }
            for field in message.fields() {
                match field.kind() {
                    Kind::Message(inner) => waiting.push(inner),
                    Kind::Enum(inner) => drop(self.types.insert(inner.full_name().to_owned())),
                    _ => {}
                }
            }
        }
    }

    fn files<'f>(&self, files: impl Iterator<Item = &'f FileDescriptorProto>) -> Pruned {
        let files = files.map(|file| self.file(file));
        let kept = files.filter(|file| {
            !(file.message_type.is_empty() && file.enum_type.is_empty() && file.service.is_empty())
        });
        let mut kept: Vec<_> = kept.collect();
        let seen: Vec<_> = kept.iter().map(|file| Seen::of(file, &self.types)).collect();
        let homes = homes(&seen);
        let imports: Vec<_> =
            seen.iter().enumerate().map(|(place, seen)| seen.imports(place, &homes)).collect();
        let names: Vec<_> = kept.iter().map(|file| file.name().to_owned()).collect();
        for (file, imports) in kept.iter_mut().zip(&imports) {
            // Exactly what is used, so that what came by a public import is found, too.
            file.dependency = imports.iter().map(|import| names[*import].clone()).collect();
        }
        pruned(&kept, seen, imports)
    }

    fn file(&self, file: &FileDescriptorProto) -> FileDescriptorProto {
        let package = file.package();
        FileDescriptorProto {
            name: file.name.clone(),
            package: file.package.clone(),
            syntax: file.syntax.clone(),
            message_type: self.messages(package, &file.message_type),
            enum_type: self.enums(package, &file.enum_type),
            service: file.service.iter().filter_map(|service| self.service(package, service)).collect(),
            ..FileDescriptorProto::default()
        }
    }

    fn service(&self, package: &str, service: &ServiceDescriptorProto) -> Option<ServiceDescriptorProto> {
        let name = join(package, service.name());
        let kept = |method: &&MethodDescriptorProto| self.methods.contains(&join(&name, method.name()));
        let method: Vec<_> = service.method.iter().filter(kept).map(bare_method).collect();
        let name = service.name.clone();
        (!method.is_empty()).then_some(ServiceDescriptorProto { name, method, options: None })
    }

    fn messages(&self, scope: &str, messages: &[DescriptorProto]) -> Vec<DescriptorProto> {
        messages.iter().filter_map(|message| self.message(scope, message)).collect()
    }

    fn message(&self, scope: &str, message: &DescriptorProto) -> Option<DescriptorProto> {
        let name = join(scope, message.name());
        let shell = DescriptorProto {
            name: message.name.clone(),
            nested_type: self.messages(&name, &message.nested_type),
            enum_type: self.enums(&name, &message.enum_type),
            ..DescriptorProto::default()
        };
        if self.types.contains(&name) {
            return Some(whole(shell, message));
        }
        (!shell.nested_type.is_empty() || !shell.enum_type.is_empty()).then_some(shell)
    }

    fn enums(&self, scope: &str, enums: &[EnumDescriptorProto]) -> Vec<EnumDescriptorProto> {
        let kept = enums.iter().filter(|one| self.types.contains(&join(scope, one.name())));
        kept.map(bare_enum).collect()
    }
}

/// What a pruned file defines and uses.
#[derive(Default)]
struct Seen {
    services: Vec<String>,
    symbols: Vec<String>,
    uses: BTreeSet<String>,
}

impl Seen {
    fn of(file: &FileDescriptorProto, types: &BTreeSet<String>) -> Self {
        let mut seen = Self::default();
        file.service.iter().for_each(|service| seen.service(file.package(), service));
        file.message_type.iter().for_each(|message| seen.message(file.package(), message, types));
        file.enum_type.iter().for_each(|one| seen.enumeration(file.package(), one));
        seen
    }

    fn imports(&self, own: usize, homes: &BTreeMap<&str, usize>) -> Vec<usize> {
        let homes = self.uses.iter().filter_map(|used| homes.get(used.as_str()).copied());
        homes.filter(|home| *home != own).collect::<BTreeSet<_>>().into_iter().collect()
    }

    fn service(&mut self, package: &str, service: &ServiceDescriptorProto) {
        let name = join(package, service.name());
        for method in &service.method {
            self.symbols.push(join(&name, method.name()));
            self.uses.extend([method.input_type(), method.output_type()].map(bare));
        }
        self.symbols.push(name.clone());
        self.services.push(name);
    }

    fn message(&mut self, scope: &str, message: &DescriptorProto, types: &BTreeSet<String>) {
        let name = join(scope, message.name());
        message.nested_type.iter().for_each(|nested| self.message(&name, nested, types));
        message.enum_type.iter().for_each(|nested| self.enumeration(&name, nested));
        for field in &message.field {
            self.symbols.push(join(&name, field.name()));
            self.uses.extend(field.type_name.as_deref().map(bare));
        }
        self.symbols.extend(message.oneof_decl.iter().map(|oneof| join(&name, oneof.name())));
        // A shell is nobody's to see.
        self.symbols.extend(types.contains(&name).then_some(name));
    }

    /// Values live beside their enum, not in it.
    fn enumeration(&mut self, scope: &str, one: &EnumDescriptorProto) {
        self.symbols.extend(one.value.iter().map(|value| join(scope, value.name())));
        self.symbols.push(join(scope, one.name()));
    }
}

/// Where each name is defined, by the places of the files.
fn homes(seen: &[Seen]) -> BTreeMap<&str, usize> {
    let all = seen.iter().enumerate();
    all.flat_map(|(place, seen)| seen.symbols.iter().map(move |symbol| (symbol.as_str(), place))).collect()
}

fn pruned(files: &[FileDescriptorProto], seen: Vec<Seen>, imports: Vec<Vec<usize>>) -> Pruned {
    let mut pruned = Pruned::default();
    for ((file, seen), imports) in files.iter().zip(seen).zip(imports) {
        pruned.services.extend(seen.services);
        let (name, encoded) = (file.name().to_owned(), file.encode_to_vec());
        pruned.files.push(PrunedFile { name, encoded, imports, symbols: seen.symbols });
    }
    pruned
}

fn whole(shell: DescriptorProto, message: &DescriptorProto) -> DescriptorProto {
    let range = |range: &ExtensionRange| ExtensionRange { options: None, ..range.clone() };
    let oneof = |oneof: &OneofDescriptorProto| OneofDescriptorProto { options: None, ..oneof.clone() };
    let options = message.options.as_ref().map(|options| MessageOptions {
        map_entry: options.map_entry,
        message_set_wire_format: options.message_set_wire_format,
        ..MessageOptions::default()
    });
    DescriptorProto {
        field: message.field.iter().map(bare_field).collect(),
        extension_range: message.extension_range.iter().map(range).collect(),
        oneof_decl: message.oneof_decl.iter().map(oneof).collect(),
        options: options.filter(|options| *options != MessageOptions::default()),
        ..shell
    }
}

/// Only what the wire format depends on stays of the options.
fn bare_field(field: &FieldDescriptorProto) -> FieldDescriptorProto {
    let packed = field.options.as_ref().and_then(|options| options.packed);
    let options = packed.map(|packed| FieldOptions { packed: Some(packed), ..FieldOptions::default() });
    FieldDescriptorProto { options, ..field.clone() }
}

fn bare_enum(one: &EnumDescriptorProto) -> EnumDescriptorProto {
    let value =
        |value: &EnumValueDescriptorProto| EnumValueDescriptorProto { options: None, ..value.clone() };
    let alias = one.options.as_ref().and_then(|options| options.allow_alias);
    EnumDescriptorProto {
        name: one.name.clone(),
        value: one.value.iter().map(value).collect(),
        options: alias.map(|alias| EnumOptions { allow_alias: Some(alias), ..EnumOptions::default() }),
        ..EnumDescriptorProto::default()
    }
}

fn bare_method(method: &MethodDescriptorProto) -> MethodDescriptorProto {
    MethodDescriptorProto { options: None, ..method.clone() }
}

/// A type's name without the dot that says that it is a full one.
fn bare(name: &str) -> String {
    name.trim_start_matches('.').to_owned()
}

fn join(scope: &str, name: &str) -> String {
    if scope.is_empty() { name.to_owned() } else { format!("{scope}.{name}") }
}

#[cfg(test)]
mod tests;
