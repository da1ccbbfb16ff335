//! What stands in the parentheses of the attributes.

use proc_macro2::Ident;
use syn::ext::IdentExt;
use syn::parse::{Parse, ParseStream};
use syn::{Error, Expr, Lit, Path, Result, Token};

/// The arguments of `#[main(…)]` and `#[test(…)]`.
#[derive(Default)]
pub(crate) struct Arguments {
    /// The number of workers, if it was given.
    pub(crate) worker_threads: Option<Expr>,
    /// Where the items of tress are, if it was given.
    pub(crate) crate_path: Option<Path>,
}

impl Parse for Arguments {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let mut arguments = Self::default();
        while !input.is_empty() {
            let name = input.call(Ident::parse_any)?;
            arguments.parse_one(&name, input)?;
            if !input.is_empty() {
                input.parse::<Token![,]>()?;
            }
        }
        Ok(arguments)
    }
}

impl Arguments {
    fn parse_one(&mut self, name: &Ident, input: ParseStream<'_>) -> Result<()> {
        let twice = || Error::new(name.span(), format!("`{name}` is given twice"));
        if name == "worker_threads" {
            input.parse::<Token![=]>()?;
            let workers: Expr = input.parse()?;
            check_workers(&workers)?;
            return self.worker_threads.replace(workers).map_or(Ok(()), |_| Err(twice()));
        }
        if name == "crate" {
            input.parse::<Token![=]>()?;
            let path = input.call(Path::parse_mod_style)?;
            return self.crate_path.replace(path).map_or(Ok(()), |_| Err(twice()));
        }
        Err(Error::new(
            name.span(),
            format!("unknown argument `{name}`: known are `worker_threads = N` and `crate = path`"),
        ))
    }
}

/// Refuses literals that cannot be a number of workers; expressions are left to the compiler.
fn check_workers(workers: &Expr) -> Result<()> {
    let Expr::Lit(literal) = workers else { return Ok(()) };
    match &literal.lit {
        Lit::Int(number) if number.base10_parse::<usize>()? == 0 => {
            Err(Error::new(number.span(), "a runtime needs at least one worker"))
        }
        Lit::Int(_) => Ok(()),
        other => Err(Error::new(other.span(), "`worker_threads` is a number")),
    }
}
