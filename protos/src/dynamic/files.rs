//! Descriptor files as they come in one by one, by reflection: collected until none is missing. Bounded in number.

use std::collections::BTreeMap;

use prost::Message;
use prost_reflect::prost_types::{FileDescriptorProto, FileDescriptorSet};

use super::{Descriptors, DescriptorsError};

/// Why a file was not taken.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// Not an encoded `FileDescriptorProto`.
    #[error("not a FileDescriptorProto")]
    Malformed(#[source] prost::DecodeError),
    /// More files than any real schema has.
    #[error("more than {MOST_FILES} files")]
    TooMany,
}

/// Files that came so far, by name.
#[derive(Debug, Clone, Default)]
pub struct FileSet(BTreeMap<String, FileDescriptorProto>);

impl FileSet {
    /// Takes an encoded `FileDescriptorProto`; one of the same name is replaced.
    pub fn add(&mut self, bytes: &[u8]) -> Result<(), FileError> {
        let file = FileDescriptorProto::decode(bytes).map_err(FileError::Malformed)?;
        self.0.insert(file.name().to_owned(), file);
        if self.0.len() > MOST_FILES { Err(FileError::TooMany) } else { Ok(()) }
    }

    /// Whether a file of this name came.
    pub fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// Whether some file declares the service of this full name.
    pub fn declares(&self, service: &str) -> bool {
        self.0.values().any(|file| {
            let package = file.package();
            let own = service.strip_prefix(package).map(|rest| rest.trim_start_matches('.'));
            own.is_some_and(|own| file.service.iter().any(|declared| declared.name() == own))
        })
    }

    /// A file that is imported and did not come yet.
    pub fn missing(&self) -> Option<&str> {
        let mut imports = self.0.values().flat_map(|file| &file.dependency);
        imports.find(|name| !self.has(name)).map(String::as_str)
    }

    /// An encoded `FileDescriptorSet`, imported files first as `protoc` writes it.
    pub fn encode(&self) -> Vec<u8> {
        FileDescriptorSet { file: self.in_order() }.encode_to_vec()
    }

    /// The services in it.
    pub fn descriptors(&self) -> Result<Descriptors, DescriptorsError> {
        Descriptors::decode(&self.encode())
    }

    /// A cycle stays in, at the end.
    fn in_order(&self) -> Vec<FileDescriptorProto> {
        let mut left = self.0.clone();
        let mut ordered = Vec::with_capacity(left.len());
        loop {
            let ready =
                |file: &FileDescriptorProto| file.dependency.iter().all(|name| !left.contains_key(name));
            let Some(name) = left.iter().find(|(_, file)| ready(file)).map(|(name, _)| name.clone()) else {
                ordered.extend(left.into_values());
                return ordered;
            };
            ordered.extend(left.remove(&name));
        }
    }
}

/// Far beyond what any real schema imports.
const MOST_FILES: usize = 1_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn file(name: &str, imports: &[&str]) -> Vec<u8> {
        let dependency = imports.iter().map(|name| (*name).to_owned()).collect();
        FileDescriptorProto { name: Some(name.to_owned()), dependency, ..Default::default() }.encode_to_vec()
    }

    #[test]
    fn tells_which_import_is_missing_and_orders_imports_first() {
        let mut files = FileSet::default();
        files.add(&file("a.proto", &["b.proto"])).unwrap();
        assert_eq!(files.missing(), Some("b.proto"));
        files.add(&file("b.proto", &[])).unwrap();
        assert_eq!(files.missing(), None);
        let set = FileDescriptorSet::decode(&*files.encode()).unwrap();
        assert_eq!(
            set.file.iter().map(FileDescriptorProto::name).collect::<Vec<_>>(),
            ["b.proto", "a.proto"]
        );
        assert!(files.descriptors().is_ok());
    }

    #[test]
    fn is_bounded_and_refuses_what_is_no_file() {
        let mut files = FileSet::default();
        assert!(matches!(files.add(&[0xff]), Err(FileError::Malformed(_))));
        let mut each = (0..=MOST_FILES).map(|n| files.add(&file(&n.to_string(), &[])));
        assert!(each.any(|added| matches!(added, Err(FileError::TooMany))));
    }

    #[test]
    fn a_cycle_of_imports_does_not_hang() {
        let mut files = FileSet::default();
        files.add(&file("a", &["b"])).unwrap();
        files.add(&file("b", &["a"])).unwrap();
        assert_eq!(files.missing(), None);
        assert_eq!(FileDescriptorSet::decode(&*files.encode()).unwrap().file.len(), 2);
    }
}
