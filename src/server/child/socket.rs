//! The listening socket: opened by the runner and inherited under a number or, where sockets are not inherited so, opened here.

use std::net::TcpListener;

use crate::model::fault::Fault;

/// The environment variable with the number of the inherited socket.
pub const LISTENER_FD: &str = "BATON_CONNECTOR_SERVICE_LISTENER_FD";

/// Where the listening socket comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Socket {
    /// The runner opened it; it is here under this number.
    #[cfg(unix)]
    Inherited(i32),
    /// It is opened here, at the port that the runner names.
    #[cfg(not(unix))]
    Own,
}

impl Socket {
    /// As the environment says it; `named` is the text of [`LISTENER_FD`].
    #[cfg(unix)]
    pub fn named(named: Option<&str>) -> Result<Self, String> {
        let Some(text) = named else {
            return Err(format!(
                "{LISTENER_FD} is not set: _connector-service is for runners to start, which pass a listening socket"
            ));
        };
        // 0 to 2 are the standard streams.
        match text.parse() {
            Ok(number) if number > 2 => Ok(Self::Inherited(number)),
            _ => Err(format!(
                "{LISTENER_FD}: expected the number of an open file descriptor above 2"
            )),
        }
    }

    /// As the environment says it: nothing.
    #[cfg(not(unix))]
    pub fn named(_: Option<&str>) -> Result<Self, String> {
        Ok(Self::Own)
    }

    /// The socket, not blocking, which must listen at `port`.
    pub(super) fn listen(self, port: u16) -> Result<TcpListener, Fault> {
        let listener = self.open(port)?;
        let failed = |error| Fault::invalid(format!("{self}: not a TCP socket")).because(error);
        let at = listener.local_addr().map_err(failed)?;
        if at.port() != port {
            return Err(Fault::invalid(format!(
                "the runner's line names port {port}, but {self} listens at port {}",
                at.port()
            )));
        }
        // It arrives in blocking mode.
        listener.set_nonblocking(true).map_err(failed)?;
        Ok(listener)
    }

    #[cfg(unix)]
    fn open(self, _: u16) -> Result<TcpListener, Fault> {
        use std::os::fd::AsFd as _;

        let Self::Inherited(number) = self;
        let absent = |error: &dyn std::fmt::Display| {
            Fault::invalid(format!("{self}: cannot be taken over")).because(error)
        };
        // To own a number that the environment names would be unsound: somebody else may own it. A duplicate made by the system is ours
        // whatever the number was, and a number that is not open is an error. The original stays open and is never touched again; it goes with
        // the process, which starts no others.
        let duplicate = filedescriptor::FileDescriptor::dup(&number).map_err(|error| absent(&error))?;
        let owned = duplicate
            .as_fd()
            .try_clone_to_owned()
            .map_err(|error| absent(&error))?;
        Ok(owned.into())
    }

    #[cfg(not(unix))]
    fn open(self, port: u16) -> Result<TcpListener, Fault> {
        TcpListener::bind((std::net::Ipv4Addr::LOCALHOST, port))
            .map_err(|error| Fault::invalid(format!("cannot listen at port {port}")).because(error))
    }
}

impl std::fmt::Display for Socket {
    #[cfg(unix)]
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self::Inherited(number) = self;
        write!(f, "file descriptor {number} ({LISTENER_FD})")
    }

    #[cfg(not(unix))]
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the socket")
    }
}

#[cfg(all(test, unix))]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::fs::File;
    use std::os::fd::AsRawFd as _;
    use std::os::unix::net::UnixListener;

    use super::*;

    #[test]
    fn a_number_above_the_standard_streams_names_a_socket() {
        assert_eq!(Socket::named(Some("3")), Ok(Socket::Inherited(3)));
        assert!(Socket::named(None).unwrap_err().contains("is not set"));
        for text in ["", "three", "3 ", "-1", "0", "2", "99999999999"] {
            let told = Socket::named(Some(text)).unwrap_err();
            assert!(told.contains(LISTENER_FD) && told.contains("number"), "{told}");
        }
    }

    #[test]
    fn a_socket_is_taken_over_at_its_port_only() {
        let theirs = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = theirs.local_addr().unwrap().port();
        let socket = Socket::Inherited(theirs.as_raw_fd());
        let ours = socket.listen(port).unwrap();
        assert_eq!(ours.local_addr().unwrap().port(), port);
        // The mode is the socket's, whoever holds it.
        assert_eq!(
            theirs.accept().unwrap_err().kind(),
            std::io::ErrorKind::WouldBlock
        );
        let told = socket.listen(port.wrapping_add(1)).unwrap_err().to_string();
        assert!(told.contains(&format!("listens at port {port}")), "{told}");
    }

    #[test]
    fn what_is_no_tcp_socket_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let file = File::open(folder.path()).unwrap();
        let local = UnixListener::bind(folder.path().join("socket")).unwrap();
        for number in [file.as_raw_fd(), local.as_raw_fd()] {
            let told = Socket::Inherited(number).listen(1).unwrap_err().to_string();
            assert!(told.contains("not a TCP socket"), "{told}");
        }
        let told = Socket::Inherited(i32::MAX).listen(1).unwrap_err().to_string();
        assert!(told.contains("cannot be taken over"), "{told}");
    }
}
