//! nginx as a server that the process starts and watches.

use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::WORKERS;
use crate::server::PLAINTEXT;

/// A running nginx with its own configuration in a directory of its own; both go away when this is dropped.
#[derive(Debug)]
pub(crate) struct Nginx {
    master: Child,
    directory: PathBuf,
    address: SocketAddr,
}

impl Nginx {
    pub(crate) fn start() -> io::Result<Self> {
        let program =
            nginx_path().ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "nginx is not installed"))?;
        // nginx cannot say which port it was given, so one is reserved and released just before.
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let directory = std::env::temp_dir().join(format!("tress-bench-nginx-{}", std::process::id()));
        std::fs::create_dir_all(&directory)?;
        let configuration = directory.join("nginx.conf");
        std::fs::write(&configuration, configure(&directory, address))?;
        let master = Command::new(program)
            .arg("-p")
            .arg(&directory)
            .arg("-e")
            .arg(directory.join("error.log"))
            .arg("-c")
            .arg(&configuration)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()?;
        let nginx = Self { master, directory, address };
        nginx.wait_until_it_answers()?;
        Ok(nginx)
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// CPU time of the master and its workers, from the scheduler's accounts.
    pub(crate) fn cpu(&self) -> io::Result<Duration> {
        let master = self.master.id();
        let mut total_ns = 0;
        for entry in std::fs::read_dir("/proc")? {
            let name = entry?.file_name();
            let Some(pid) = name.to_str().and_then(|name| name.parse::<u32>().ok()) else { continue };
            if pid == master || parent_of(pid) == Some(master) {
                total_ns += scheduled_ns(pid).unwrap_or(0);
            }
        }
        Ok(Duration::from_nanos(total_ns))
    }

    fn wait_until_it_answers(&self) -> io::Result<()> {
        let give_up = Instant::now() + START_LIMIT;
        loop {
            match TcpStream::connect(self.address) {
                Ok(_stream) => return Ok(()),
                Err(error) if Instant::now() > give_up => return Err(error),
                Err(_not_yet) => std::thread::sleep(Duration::from_millis(5)),
            }
        }
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // SIGTERM lets the master end its workers; SIGKILL would orphan them.
        let master = i32::try_from(self.master.id()).ok().and_then(rustix::process::Pid::from_raw);
        if let Some(master) = master {
            let _gone = rustix::process::kill_process(master, rustix::process::Signal::TERM);
        }
        let _status = self.master.wait();
        let _removed = std::fs::remove_dir_all(&self.directory);
    }
}

/// Where nginx is installed, if it is.
pub(crate) fn nginx_path() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain([PathBuf::from("/usr/sbin"), PathBuf::from("/usr/local/sbin")])
        .map(|directory| directory.join("nginx"))
        .find(|program| program.is_file())
}

fn configure(directory: &Path, address: SocketAddr) -> String {
    let directory = directory.display();
    let body = std::str::from_utf8(PLAINTEXT).expect("the body is ASCII");
    format!(
        "daemon off;
worker_processes {WORKERS};
pid {directory}/nginx.pid;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    default_type text/plain;
    keepalive_requests 1000000000;
    tcp_nodelay on;
    client_body_temp_path {directory};
    proxy_temp_path {directory};
    fastcgi_temp_path {directory};
    uwsgi_temp_path {directory};
    scgi_temp_path {directory};
    server {{
        listen {address};
        location / {{ return 200 \"{body}\"; }}
    }}
}}
"
    )
}

/// The parent's id, from `/proc/PID/stat`.
fn parent_of(pid: u32) -> Option<u32> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name may contain anything, so count from the last parenthesis.
    stat.rsplit_once(')')?.1.split_ascii_whitespace().nth(1)?.parse().ok()
}

/// Nanoseconds that a single-threaded process has run.
fn scheduled_ns(pid: u32) -> Option<u64> {
    let schedstat = std::fs::read_to_string(format!("/proc/{pid}/schedstat")).ok()?;
    schedstat.split_ascii_whitespace().next()?.parse().ok()
}

const START_LIMIT: Duration = Duration::from_secs(5);
