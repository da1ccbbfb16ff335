//! Rooms: each has a strand of its own, and who is in it belongs to that.

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use tress::Handle;
use tress::executor::run_on;
use tress::stop::StopSource;
use tress::strand::{Actor, CallError, Strand, StrandCell};
use tress::sync::mpsc;

pub(crate) type Line = Arc<str>;

/// Which rooms there are. A room is kept by those who are in it, and goes with the last of them.
#[derive(Clone)]
pub(crate) struct Directory(Actor<HashMap<String, Weak<Room>>>);

struct Room {
    name: String,
    strand: Strand,
    members: StrandCell<Members>,
    directory: Directory,
}

/// By their names.
type Members = HashMap<String, Member>;

/// How a room reaches a client.
#[derive(Clone)]
pub(crate) struct Member {
    pub(crate) lines: mpsc::Sender<Line>,
    /// Asked to stop when the client has not made room for a line.
    pub(crate) slow: StopSource,
}

/// Somebody's place in a room, which is left when it is dropped.
pub(crate) struct Place {
    room: Arc<Room>,
    name: String,
}

impl Directory {
    pub(crate) fn new() -> Self {
        Self(Actor::new(HashMap::new()))
    }

    /// Goes into a room, which is made if there is none. Gives how many others are there; `None` if one of them has this name.
    pub(crate) async fn join(
        &self,
        room: &str,
        name: &str,
        member: Member,
    ) -> Result<Option<(Place, usize)>, CallError> {
        let (directory, handle, room) = (self.clone(), Handle::current(), room.to_owned());
        let find = move |rooms: &mut HashMap<String, Weak<Room>>| {
            rooms.get(&room).and_then(Weak::upgrade).unwrap_or_else(|| {
                let strand = Strand::new(handle);
                let members = StrandCell::new(&strand, Members::new());
                let new = Arc::new(Room { name: room.clone(), strand, members, directory });
                rooms.insert(room, Arc::downgrade(&new));
                new
            })
        };
        let room = self.0.call(find).await?;
        Ok(run_on(room.strand.clone(), async {
            let mut members = room.members.borrow_mut();
            if members.contains_key(name) {
                return None;
            }
            tell(&members, &format!("* {name} has come").into(), name);
            members.insert(name.to_owned(), member);
            // Made here, so that the place is left also if nobody waits for it any more.
            let place = Place { name: name.to_owned(), room: Arc::clone(&room) };
            Some((place, members.len() - 1))
        })
        .await)
    }
}

impl Place {
    pub(crate) fn room(&self) -> &str {
        &self.room.name
    }

    /// Says something to all others. Who says it waits until it is his turn on the strand, so that he cannot say more than the room can take.
    pub(crate) async fn say(&self, text: &str) {
        let line = format!("{}: {text}", self.name).into();
        run_on(self.room.strand.clone(), async {
            tell(&self.room.members.borrow_mut(), &line, &self.name);
        })
        .await;
    }

    /// Takes another name, unless somebody here has it.
    pub(crate) async fn rename(&mut self, name: &str) -> bool {
        let Self { room, name: before } = self;
        run_on(room.strand.clone(), async {
            let mut members = room.members.borrow_mut();
            if members.contains_key(name) {
                return false;
            }
            if let Some(member) = members.remove(before) {
                members.insert(name.to_owned(), member);
            }
            tell(&members, &format!("* {before} is {name} now").into(), name);
            name.clone_into(before);
            true
        })
        .await
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let (room, name) = (Arc::clone(&self.room), std::mem::take(&mut self.name));
        self.room.strand.post(move || {
            room.members.with(|members| {
                members.remove(&name);
                tell(members, &format!("* {name} has left").into(), &name);
            });
        });
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        let name = std::mem::take(&mut self.name);
        let forget = move |rooms: &mut HashMap<String, Weak<Self>>| {
            // There may be a new one of that name.
            if rooms.get(&name).is_some_and(|room| room.strong_count() == 0) {
                rooms.remove(&name);
            }
        };
        // It is refused only where the actor has a limit, and this one has none.
        let _ = self.directory.0.post(forget);
    }
}

/// Puts a line into everybody's queue except one's own. Nobody is waited for: who has no place for it has to go.
fn tell(members: &Members, line: &Line, except: &str) {
    for (_, member) in members.iter().filter(|(name, _)| *name != except) {
        if member.lines.try_send(Arc::clone(line)).is_err() {
            member.slow.request_stop();
        }
    }
}
