//! Container images by digest: what is pulled is what was signed, whatever a tag points to later.

use std::{fmt, str::FromStr};

use data_encoding::HEXLOWER;
use tunnel_protos::v1;

/// One container's image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// The container it belongs to.
    pub container: ContainerName,
    /// Where it is pulled from; a rewrite at the customer keeps the digest.
    pub repository: Repository,
    /// SHA-256 of its manifest.
    pub digest: [u8; 32],
}

/// What is wrong with an image.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ImageError {
    /// Not a container's name.
    #[error(
        "not a container's name: 1 to 63 of a-z, 0-9 and '-', beginning and ending with a letter or digit"
    )]
    Container,
    /// Not a repository, or one with a tag.
    #[error("not a repository without tag or digest, like registry.example/team/storage")]
    Repository,
    /// Not a SHA-256.
    #[error("not named by a digest of 32 bytes; a tag may point anywhere tomorrow")]
    Digest,
    /// Not the form that people write.
    #[error("write it as container=repository@sha256:…")]
    Form,
}

impl Image {
    pub(super) fn read(message: &v1::Image) -> Result<Self, ImageError> {
        Ok(Self {
            container: message.container.parse()?,
            repository: message.repository.parse()?,
            digest: message.digest.as_slice().try_into().map_err(|_| ImageError::Digest)?,
        })
    }

    pub(super) fn to_message(&self) -> v1::Image {
        v1::Image {
            container: self.container.to_string(),
            repository: self.repository.to_string(),
            digest: self.digest.to_vec(),
        }
    }

    /// As it is pulled: `repository@sha256:…`.
    pub fn reference(&self) -> String {
        format!("{}{AT}{}", self.repository, HEXLOWER.encode(&self.digest))
    }
}

impl fmt::Display for Image {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.container, self.reference())
    }
}

impl FromStr for Image {
    type Err = ImageError;

    /// Reads `container=repository@sha256:…`.
    fn from_str(text: &str) -> Result<Self, ImageError> {
        let (container, reference) = text.split_once('=').ok_or(ImageError::Form)?;
        let (repository, digest) = reference.split_once(AT).ok_or(ImageError::Digest)?;
        let digest = HEXLOWER.decode(digest.as_bytes()).map_err(|_| ImageError::Digest)?;
        Ok(Self {
            container: container.parse()?,
            repository: repository.parse()?,
            digest: digest.try_into().map_err(|_| ImageError::Digest)?,
        })
    }
}

/// A container of a workload, as Kubernetes names them: a DNS label.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ContainerName(Box<str>);

impl ContainerName {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ContainerName {
    type Err = ImageError;

    fn from_str(text: &str) -> Result<Self, ImageError> {
        if is_label(text) { Ok(Self(text.into())) } else { Err(ImageError::Container) }
    }
}

impl fmt::Display for ContainerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A repository of images: host, perhaps a port, and path; never a tag or digest.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Repository(Box<str>);

impl Repository {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Repository {
    type Err = ImageError;

    fn from_str(text: &str) -> Result<Self, ImageError> {
        let (host, path) = text.split_once('/').ok_or(ImageError::Repository)?;
        let fits = text.len() <= LONGEST_REPOSITORY
            && is_host(host)
            && path.split('/').all(|part| is_word(part, b"-._"));
        if fits { Ok(Self(text.into())) } else { Err(ImageError::Repository) }
    }
}

impl fmt::Display for Repository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// `registry.example` or `registry.example:5000`: only before the first slash is a colon a port and not a tag.
fn is_host(text: &str) -> bool {
    let (host, port) = text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port)));
    let is_port =
        |port: &str| port.bytes().all(|c| c.is_ascii_digit()) && port.parse().is_ok_and(|port: u16| port > 0);
    host.split('.').all(is_label) && port.is_none_or(is_port)
}

fn is_label(text: &str) -> bool {
    text.len() <= 63 && is_word(text, b"-")
}

/// Lower case, `inner` between, beginning and ending with a letter or digit.
fn is_word(text: &str, inner: &[u8]) -> bool {
    let plain = |c: &u8| c.is_ascii_lowercase() || c.is_ascii_digit();
    let bytes = text.as_bytes();
    bytes.first().is_some_and(plain)
        && bytes.last().is_some_and(plain)
        && bytes.iter().all(|c| plain(c) || inner.contains(c))
}

const AT: &str = "@sha256:";
/// As registries bound it.
const LONGEST_REPOSITORY: usize = 255;
