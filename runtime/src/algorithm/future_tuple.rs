//! Tuples of futures.

use std::future::Future;
use std::pin::Pin;

use super::branches::{Branch, End, TupleChain};

/// A tuple of 2 to 12 futures, each with a result whose error is of the one type that they share: what
/// [`when_all_of`](super::when_all_of()) takes.
///
/// It is sealed: nobody else can implement it.
///
/// # Examples
///
/// ```
/// use tress::algorithm::{FutureTuple, when_all_of};
///
/// /// Says before and after.
/// async fn told<F: FutureTuple>(futures: F) -> Result<F::Values, F::Error> {
///     println!("they begin");
///     let values = when_all_of(futures).await?;
///     println!("they have ended");
///     Ok(values)
/// }
///
/// # let runtime = tress::Runtime::new()?;
/// # runtime.block_on(async {
/// assert_eq!(told((async { Ok::<_, ()>(1) }, async { Ok("two") })).await, Ok((1, "two")));
/// # });
/// # Ok::<(), std::io::Error>(())
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no tuple of 2 to 12 futures with results",
    note = "each element has to be a future whose output is a `Result`, all of them with one type of error",
    note = "for many futures of one type there is `when_all`"
)]
pub trait FutureTuple: Sized {
    /// The tuple of their values.
    type Values;

    /// What any of them may fail with.
    type Error;

    /// Where they run.
    #[doc(hidden)]
    type Chain: TupleChain<Futures = Self, Values = Self::Values, Error = Self::Error>;
}

/// The type of the chain for these futures and values.
macro_rules! chain {
    () => { End<E> };
    ($F:ident $T:ident $($rest:ident)*) => { Branch<$F, $T, chain!($($rest)*)> };
}

// A tuple of each length is a type of its own, and only a macro can say the same of all of them.
macro_rules! tuples {
    ($(($($item:ident: $F:ident -> $T:ident),+))+) => {$(
        impl<$($F, $T,)+ E> FutureTuple for ($($F,)+)
        where
            $($F: Future<Output = Result<$T, E>>,)+
        {
            type Values = ($($T,)+);
            type Error = E;
            type Chain = chain!($($F $T)+);
        }

        impl<$($F, $T,)+ E> TupleChain for chain!($($F $T)+)
        where
            $($F: Future<Output = Result<$T, E>>,)+
        {
            type Futures = ($($F,)+);
            type Values = ($($T,)+);

            fn put_all(self: Pin<&mut Self>, ($($item,)+): Self::Futures) {
                let rest = self;
                $(let rest = rest.put($item);)+
                let _end: Pin<&mut End<E>> = rest;
            }

            fn take_all(self: Pin<&mut Self>) -> Self::Values {
                let rest = self;
                $(let ($item, rest) = rest.take();)+
                let _end: Pin<&mut End<E>> = rest;
                ($($item,)+)
            }
        }
    )+};
}

tuples! {
    (a: A -> Ta, b: B -> Tb)
    (a: A -> Ta, b: B -> Tb, c: C -> Tc)
    (a: A -> Ta, b: B -> Tb, c: C -> Tc, d: D -> Td)
    (a: A -> Ta, b: B -> Tb, c: C -> Tc, d: D -> Td, f: F -> Tf)
    (a: A -> Ta, b: B -> Tb, c: C -> Tc, d: D -> Td, f: F -> Tf, g: G -> Tg)
    (a: A -> Ta, b: B -> Tb, c: C -> Tc, d: D -> Td, f: F -> Tf, g: G -> Tg, h: H -> Th)
    (a: A -> Ta, b: B -> Tb, c: C -> Tc, d: D -> Td, f: F -> Tf, g: G -> Tg, h: H -> Th, i: I -> Ti)
    (a: A -> Ta, b: B -> Tb, c: C -> Tc, d: D -> Td, f: F -> Tf, g: G -> Tg, h: H -> Th, i: I -> Ti,
        j: J -> Tj)
    (a: A -> Ta, b: B -> Tb, c: C -> Tc, d: D -> Td, f: F -> Tf, g: G -> Tg, h: H -> Th, i: I -> Ti,
        j: J -> Tj, k: K -> Tk)
    (a: A -> Ta, b: B -> Tb, c: C -> Tc, d: D -> Td, f: F -> Tf, g: G -> Tg, h: H -> Th, i: I -> Ti,
        j: J -> Tj, k: K -> Tk, l: L -> Tl)
    (a: A -> Ta, b: B -> Tb, c: C -> Tc, d: D -> Td, f: F -> Tf, g: G -> Tg, h: H -> Th, i: I -> Ti,
        j: J -> Tj, k: K -> Tk, l: L -> Tl, m: M -> Tm)
}
