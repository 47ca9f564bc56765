//! The local end: a Unix socket (0600, own user only) or a TCP port on this machine.

use std::{
    fmt, fs, io,
    net::SocketAddr,
    os::unix::fs::{DirBuilderExt, FileTypeExt, PermissionsExt},
    path::{Path, PathBuf},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, UnixListener, UnixStream},
    time::sleep,
};
use tunnel_certs::crypto;

use super::Error;
use crate::folder;

/// A local connection.
pub(crate) trait Local: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Local for T {}

/// Where a proxy listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Place {
    /// A socket file.
    Socket(PathBuf),
    /// A TCP address.
    Address(SocketAddr),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Socket(path) => path.display().fmt(f),
            Self::Address(address) => address.fmt(f),
        }
    }
}

/// A bound local end; a socket file goes when this is dropped.
#[derive(Debug)]
pub(crate) struct Listener {
    socket: Socket,
    place: Place,
}

#[derive(Debug)]
enum Socket {
    Unix(UnixListener),
    Tcp(TcpListener),
}

/// Whether other machines may reach a TCP port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reach {
    /// This machine only.
    Machine,
    /// Whoever finds the address.
    Network,
}

impl Listener {
    /// Binds a socket file that nobody else can open; one that nobody listens on any more is replaced.
    pub(crate) fn unix(path: &Path) -> Result<Self, Error> {
        let failed = |source| Error::Listen { place: path.display().to_string(), source };
        folder::make_parent(path).map_err(|error| failed(io::Error::other(error)))?;
        check_free(path)?;
        let socket = bind_private(path).map_err(failed)?;
        Ok(Self { socket: Socket::Unix(socket), place: Place::Socket(path.into()) })
    }

    /// Binds a TCP port.
    pub(crate) async fn tcp(address: SocketAddr, reach: Reach) -> Result<Self, Error> {
        if !address.ip().is_loopback() && reach == Reach::Machine {
            return Err(Error::Exposed(address));
        }
        let failed = |source| Error::Listen { place: address.to_string(), source };
        let socket = TcpListener::bind(address).await.map_err(failed)?;
        let place = Place::Address(socket.local_addr().map_err(failed)?);
        Ok(Self { socket: Socket::Tcp(socket), place })
    }

    /// Where it listens.
    pub(crate) const fn place(&self) -> &Place {
        &self.place
    }

    /// The next connection that may come in.
    pub(crate) async fn accept(&self) -> io::Result<Box<dyn Local>> {
        let accepted = match &self.socket {
            Socket::Unix(socket) => socket.accept().await.and_then(|(stream, _)| own(stream)),
            Socket::Tcp(socket) => socket.accept().await.and_then(|(stream, _)| {
                stream.set_nodelay(true)?;
                Ok(Box::new(stream) as Box<dyn Local>)
            }),
        };
        if accepted.is_err() {
            // Out of file descriptors, the next one fails at once, too.
            sleep(PAUSE).await;
        }
        accepted
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        if let Place::Socket(path) = &self.place {
            let _ = fs::remove_file(path);
        }
    }
}

/// Root may open every file; the session is the operator's alone.
fn own(stream: UnixStream) -> io::Result<Box<dyn Local>> {
    check_uid(stream.peer_cred()?.uid(), rustix::process::geteuid().as_raw())?;
    Ok(Box::new(stream))
}

fn check_uid(peer: u32, own: u32) -> io::Result<()> {
    if peer == own {
        Ok(())
    } else {
        Err(io::Error::new(io::ErrorKind::PermissionDenied, format!("uid {peer} is not yours")))
    }
}

fn check_free(path: &Path) -> Result<(), Error> {
    let failed = |source| Error::Listen { place: path.display().to_string(), source };
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(failed(error)),
        Ok(found) if !found.file_type().is_socket() => Err(Error::NotASocket(path.into())),
        Ok(_) if std::os::unix::net::UnixStream::connect(path).is_ok() => Err(Error::InUse(path.into())),
        Ok(_) => fs::remove_file(path).map_err(failed),
    }
}

/// Made in a folder that nobody else can enter, then moved: at no moment can another user open it.
fn bind_private(path: &Path) -> io::Result<UnixListener> {
    let name = u32::from_ne_bytes(crypto::random());
    let folder = path.with_file_name(format!(".{name:08x}"));
    fs::DirBuilder::new().mode(0o700).create(&folder)?;
    let bound = (|| {
        let hidden = folder.join("s");
        let listener = UnixListener::bind(&hidden)?;
        fs::set_permissions(&hidden, fs::Permissions::from_mode(0o600))?;
        fs::rename(&hidden, path)?;
        Ok(listener)
    })();
    let _ = fs::remove_dir_all(&folder);
    bound
}

/// File descriptors come back when connections end.
const PAUSE: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_socket_is_private_and_goes_with_the_listener() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("run/acme.prod.sock");
        let listener = Listener::unix(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::metadata(path.parent().unwrap()).unwrap().permissions().mode() & 0o777, 0o700);
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
        assert!(matches!(Listener::unix(&path), Err(Error::InUse(_))));
        drop(listener);
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn a_dead_socket_is_replaced_and_a_file_is_not() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("s");
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        let listener = Listener::unix(&path).unwrap();
        let (_client, accepted) = tokio::join!(UnixStream::connect(&path), listener.accept());
        accepted.unwrap();
        let file = home.path().join("f");
        fs::write(&file, "mine").unwrap();
        assert!(matches!(Listener::unix(&file), Err(Error::NotASocket(_))));
        assert!(file.exists());
    }

    #[tokio::test]
    async fn an_error_says_its_cause_once() {
        let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let home = tempfile::tempdir().unwrap();
        fs::write(home.path().join("f"), "").unwrap();
        let errors = [
            Listener::tcp(taken.local_addr().unwrap(), Reach::Machine).await.err(),
            Listener::unix(&home.path().join("f/s")).err(),
            Listener::unix(Path::new("/proc/s")).err(),
            Listener::unix(Path::new("/proc/nowhere/s")).err(),
        ];
        for error in errors {
            let text = tunnel_runtime::chain(&error.unwrap()).to_string();
            let mut parts: Vec<_> = text.split(": ").collect();
            parts.dedup();
            assert_eq!(parts.join(": "), text);
        }
    }

    #[test]
    fn only_the_own_user_gets_in() {
        assert!(check_uid(1000, 1000).is_ok());
        assert!(check_uid(0, 1000).is_err() && check_uid(1001, 1000).is_err());
    }

    #[tokio::test]
    async fn other_machines_get_in_only_by_a_clear_word() {
        let open = "0.0.0.0:0".parse().unwrap();
        assert!(matches!(Listener::tcp(open, Reach::Machine).await, Err(Error::Exposed(_))));
        assert!(Listener::tcp(open, Reach::Network).await.is_ok());
        assert!(Listener::tcp("127.0.0.1:0".parse().unwrap(), Reach::Machine).await.is_ok());
    }
}
