//! A client: lines that come in, and lines that go out.

use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tress::future::FutureExt;
use tress::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, BufReader};
use tress::net::{TcpStream, WriteHalf};
use tress::stop::{StopSource, StopToken};
use tress::sync::mpsc;
use tress::time::timeout;

use crate::room::{Directory, Line, Member, Place};

/// Serves a client until he goes, is too slow, or the server stops.
pub(crate) async fn serve(mut stream: TcpStream, number: u64, directory: Directory, stop: StopToken) {
    let slow = StopSource::new();
    let (lines, queue) = mpsc::channel(MOST_QUEUED_LINES);
    let is_slow = slow.token();
    let (input, output) = TcpStream::split(&mut stream);
    let mut writing = pin!(write(&output, queue).fuse());
    let ended = {
        let client = Client { directory, name: format!("guest-{number}"), place: None, lines, slow };
        let mut reading = pin!(client.read(BufReader::with_capacity(MOST_LINE_BYTES, input)).fuse());
        let mut kicked = pin!(is_slow.stop_requested().fuse());
        let mut stopping = pin!(stop.stop_requested().fuse());
        tress::select_biased! {
            () = kicked => "* you do not read what is said: good bye",
            () = stopping => "* the server stops: good bye",
            // Nobody can be told anything any more.
            _ = writing => return,
            _ = reading => "* good bye",
        }
    };
    // He has left his room, so the queue comes to its end. Nobody waits for long until it has been read.
    let farewell = async {
        writing.await?;
        output.write_all(ended.as_bytes()).await?;
        output.write_all(b"\n").await
    };
    // Who does not read it, or has gone, does not get it.
    let _ = timeout(FAREWELL, farewell).await;
}

/// Sends what is queued, as much as there is at a time, until nobody is there to queue more.
async fn write(output: &WriteHalf<'_>, mut queue: mpsc::Receiver<Line>) -> io::Result<()> {
    let (mut lines, mut bytes) = (Vec::new(), Vec::new());
    while queue.recv_many(&mut lines, MOST_WRITTEN_LINES).await > 0 {
        for line in lines.drain(..) {
            bytes.extend_from_slice(line.as_bytes());
            bytes.push(b'\n');
        }
        output.write_all(&bytes).await?;
        bytes.clear();
    }
    Ok(())
}

struct Client {
    directory: Directory,
    name: String,
    place: Option<Place>,
    lines: mpsc::Sender<Line>,
    slow: StopSource,
}

impl Client {
    /// Does what the client says, until he says nothing more.
    async fn read(mut self, mut input: BufReader<impl AsyncRead + Unpin>) -> io::Result<()> {
        self.reply("* hello: /join ROOM, /nick NAME, /quit; all else is said in your room".to_owned()).await;
        let (mut line, mut is_long) = (Vec::new(), false);
        loop {
            // What does not fit is dropped up to the end of its line, so it takes no memory.
            let limit = MOST_LINE_BYTES as u64;
            if (&mut input).take(limit).read_until(b'\n', &mut line).await? == 0 {
                return Ok(());
            }
            let has_end = line.last() == Some(&b'\n');
            let is_cut = !has_end && line.len() == MOST_LINE_BYTES;
            if is_long || is_cut {
                if !is_long {
                    self.reply(format!("! a line has at most {MOST_LINE_BYTES} bytes")).await;
                }
                is_long = !has_end;
            } else if !self.understand(&String::from_utf8_lossy(&line)).await? {
                return Ok(());
            }
            line.clear();
        }
    }

    /// False if the client wants to go.
    async fn understand(&mut self, line: &str) -> io::Result<bool> {
        // Whatever a terminal would obey is left out.
        let line: String = line.chars().filter(|char| !char.is_control()).collect();
        let (command, argument) = line.split_once(' ').unwrap_or((&line, ""));
        match (command, argument.trim()) {
            ("/quit", "") => return Ok(false),
            ("/join" | "/nick", name) if !is_name(name) => {
                self.reply(format!("! a name has 1 to {MOST_NAME_BYTES} bytes, and no spaces")).await;
            }
            ("/join", room) => {
                let member = Member { lines: self.lines.clone(), slow: self.slow.clone() };
                match self.directory.join(room, &self.name, member).await.map_err(io::Error::other)? {
                    Some((place, others)) => {
                        let others = match others {
                            1 => "1 other".to_owned(),
                            others => format!("{others} others"),
                        };
                        self.reply(format!("* you are in {} with {others}", place.room())).await;
                        self.place = Some(place);
                    }
                    None => self.reply(format!("! somebody in {room} is called {}", self.name)).await,
                }
            }
            ("/nick", name) => {
                let is_free = match &mut self.place {
                    Some(place) => place.rename(name).await,
                    None => true,
                };
                if is_free {
                    name.clone_into(&mut self.name);
                }
                let (mark, is) = if is_free { ("*", "you are") } else { ("!", "somebody here is") };
                self.reply(format!("{mark} {is} called {name}")).await;
            }
            (command, _) if command.starts_with('/') => self.reply(format!("! there is no {command}")).await,
            _ if line.is_empty() => {}
            _ => match &self.place {
                Some(place) => place.say(&line).await,
                None => self.reply("! you are in no room yet: /join ROOM".to_owned()).await,
            },
        }
        Ok(true)
    }

    /// Waits while the queue is full: who does not read is not listened to.
    async fn reply(&self, line: String) {
        // If the writer has ended, so does this client.
        let _ = self.lines.send(Arc::from(line)).await;
    }
}

fn is_name(name: &str) -> bool {
    (1..=MOST_NAME_BYTES).contains(&name.len()) && !name.contains(char::is_whitespace)
}

const MOST_LINE_BYTES: usize = 1024;
const MOST_NAME_BYTES: usize = 32;
/// Who has so many lines waiting is disconnected when another one comes.
const MOST_QUEUED_LINES: usize = 256;
const MOST_WRITTEN_LINES: usize = 64;
const FAREWELL: Duration = Duration::from_secs(2);
