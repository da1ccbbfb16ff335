//! From what users write as an address to socket addresses.
//!
//! Numeric addresses are parsed in place and never block. Names go to the system's resolver on the blocking pool.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::panic::Location;

use tress_runtime::Handle;

use super::begin;

/// What can be turned into socket addresses.
///
/// It is implemented for the same types as [`std::net::ToSocketAddrs`], and means the same; only that names are looked
/// up without blocking the worker. It cannot be implemented outside this crate.
///
/// # Examples
///
/// ```no_run
/// use tress::net::TcpStream;
///
/// # async fn connect() -> std::io::Result<()> {
/// TcpStream::connect("localhost:80").await?;
/// TcpStream::connect(("::1", 80)).await?;
/// # Ok(())
/// # }
/// ```
pub trait ToSocketAddrs: sealed::Resolve {}

impl<T: sealed::Resolve + ?Sized> ToSocketAddrs for T {}

/// Looks an address up.
///
/// # Errors
///
/// If the text has no port or a bad one, or the name is not known. Names need a current runtime; without, the error says so.
///
/// # Cancel safety
///
/// Dropping it abandons the lookup; one that the blocking pool has begun runs to its end unseen.
///
/// # Examples
///
/// ```
/// # #[tress::main(worker_threads = 1)]
/// # async fn main() -> std::io::Result<()> {
/// let addresses = tress::net::lookup_host("127.0.0.1:80").await?;
/// assert_eq!(addresses, ["127.0.0.1:80".parse().unwrap()]);
/// # Ok(())
/// # }
/// ```
#[track_caller]
pub fn lookup_host<A: ToSocketAddrs>(address: A) -> impl Future<Output = io::Result<Vec<SocketAddr>>> {
    let caller = Location::caller();
    async move {
        match resolve("host lookup", caller, address).await? {
            Addresses::One(address) => Ok(vec![address]),
            Addresses::Many(addresses) => Ok(addresses),
        }
    }
}

/// Socket addresses, the usual single one without an allocation.
pub(crate) enum Addresses {
    One(SocketAddr),
    Many(Vec<SocketAddr>),
}

impl Addresses {
    pub(crate) fn as_slice(&self) -> &[SocketAddr] {
        match self {
            Self::One(address) => std::slice::from_ref(address),
            Self::Many(addresses) => addresses,
        }
    }
}

/// Turns `address` into at least one socket address.
pub(crate) async fn resolve(
    what: &'static str,
    caller: &'static Location<'static>,
    address: impl ToSocketAddrs,
) -> io::Result<Addresses> {
    // What is awaited must not hold `address`: callers' futures are `Send` whatever it is.
    let known = address.resolve();
    drop(address);
    begin(what, caller).await;
    let found = match known {
        sealed::Resolution::One(address) => return Ok(Addresses::One(address)),
        sealed::Resolution::Many(addresses) => addresses,
        sealed::Resolution::Invalid(error) => return Err(error),
        sealed::Resolution::Name(host, port) => {
            let lookup = move || {
                std::net::ToSocketAddrs::to_socket_addrs(&(host.as_str(), port)).map(Iterator::collect)
            };
            Handle::try_current()?.spawn_blocking(lookup).await??
        }
    };
    if found.is_empty() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "no address was given or found"));
    }
    Ok(Addresses::Many(found))
}

mod sealed {
    use std::io;
    use std::net::SocketAddr;

    /// What can be said about an address without blocking.
    #[derive(Debug)]
    pub enum Resolution {
        One(SocketAddr),
        Many(Vec<SocketAddr>),
        Name(String, u16),
        Invalid(io::Error),
    }

    pub trait Resolve {
        fn resolve(&self) -> Resolution;
    }
}

use sealed::{Resolution, Resolve};

impl<T: Resolve + ?Sized> Resolve for &T {
    fn resolve(&self) -> Resolution {
        (**self).resolve()
    }
}

impl Resolve for SocketAddr {
    fn resolve(&self) -> Resolution {
        Resolution::One(*self)
    }
}

impl Resolve for SocketAddrV4 {
    fn resolve(&self) -> Resolution {
        Resolution::One((*self).into())
    }
}

impl Resolve for SocketAddrV6 {
    fn resolve(&self) -> Resolution {
        Resolution::One((*self).into())
    }
}

impl Resolve for (IpAddr, u16) {
    fn resolve(&self) -> Resolution {
        Resolution::One((*self).into())
    }
}

impl Resolve for (Ipv4Addr, u16) {
    fn resolve(&self) -> Resolution {
        Resolution::One((*self).into())
    }
}

impl Resolve for (Ipv6Addr, u16) {
    fn resolve(&self) -> Resolution {
        Resolution::One((*self).into())
    }
}

impl Resolve for [SocketAddr] {
    fn resolve(&self) -> Resolution {
        Resolution::Many(self.to_vec())
    }
}

impl Resolve for (&str, u16) {
    fn resolve(&self) -> Resolution {
        let (host, port) = *self;
        match host.parse::<IpAddr>() {
            Ok(address) => Resolution::One((address, port).into()),
            Err(_) => Resolution::Name(host.to_owned(), port),
        }
    }
}

impl Resolve for (String, u16) {
    fn resolve(&self) -> Resolution {
        (self.0.as_str(), self.1).resolve()
    }
}

impl Resolve for str {
    fn resolve(&self) -> Resolution {
        if let Ok(address) = self.parse() {
            return Resolution::One(address);
        }
        match self.rsplit_once(':') {
            Some((host, port)) if !host.is_empty() => match port.parse() {
                Ok(port) => (host, port).resolve(),
                Err(_) => invalid(format!("the port of `{self}` is not a number up to {}", u16::MAX)),
            },
            _ => invalid(format!("`{self}` is not of the form host:port")),
        }
    }
}

impl Resolve for String {
    fn resolve(&self) -> Resolution {
        self.as_str().resolve()
    }
}

fn invalid(message: String) -> Resolution {
    Resolution::Invalid(io::Error::new(io::ErrorKind::InvalidInput, message))
}

#[cfg(test)]
mod tests;
