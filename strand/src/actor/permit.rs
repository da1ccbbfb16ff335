//! Posts that wait for room.

use std::fmt;

use tress_runtime::sync::SemaphorePermit;

use super::{Actor, CallError, reentrance};

/// Room for one closure, which [`Actor::reserve`] has waited for.
#[must_use = "it is given back when dropped"]
pub struct PostPermit<'a, T: Send + 'static> {
    actor: &'a Actor<T>,
    place: Option<SemaphorePermit<'a>>,
}

impl<T: Send + 'static> PostPermit<'_, T> {
    /// Has the closure called with the state, as [`Actor::post`].
    pub fn post(self, f: impl FnOnce(&mut T) + Send + 'static) {
        if let Some(place) = self.place {
            // Whoever runs or drops the closure gives it back.
            place.forget();
        }
        self.actor.post_into_room(f);
    }
}

impl<T: Send + 'static> fmt::Debug for PostPermit<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostPermit").field("actor", self.actor).finish_non_exhaustive()
    }
}

impl<T: Send + 'static> Actor<T> {
    /// Waits for room for one closure, where the actor has a [limit](super::ActorBuilder::capacity).
    ///
    /// It is kept until the result is used or dropped. [`call`](Self::call) waits for none: where as many wait as may, it is
    /// [refused](CallError::Full), whoever has reserved.
    ///
    /// # Errors
    ///
    /// [`CallError::Reentrant`], if the calling code is inside a call of the same actor: what it would wait for may wait for it.
    ///
    /// # Cancel safety
    ///
    /// Dropping it takes no room; the place in the row of those who wait is lost.
    ///
    /// # Examples
    ///
    /// ```
    /// use tress::strand::Actor;
    /// use tress::sync::oneshot;
    ///
    /// # tress::Runtime::new().unwrap().block_on(async {
    /// let sum = Actor::builder(0_u64).capacity(16).build();
    /// for number in 0..1000 {
    ///     sum.reserve().await?.post(move |sum| *sum += number);
    /// }
    /// // A call would not wait for room, and could be refused.
    /// let (sender, receiver) = oneshot::channel();
    /// sum.reserve().await?.post(move |sum| drop(sender.send(*sum)));
    /// assert_eq!(receiver.await, Ok(499_500));
    /// # Ok::<(), tress::strand::CallError>(())
    /// # }).unwrap();
    /// ```
    pub async fn reserve(&self) -> Result<PostPermit<'_, T>, CallError> {
        let core = self.core();
        if core.serial.is_current() || reentrance::is_inside(core) {
            return Err(CallError::Reentrant);
        }
        Ok(PostPermit { actor: self, place: core.room().reserve().await })
    }
}
