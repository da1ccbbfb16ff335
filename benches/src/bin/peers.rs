//! Compares tress with its peers. `peers --help` lists the options; `benches/README.md` says what is measured and how.

use std::process::ExitCode;

use tress_bench::allocator::Switch;

#[global_allocator]
static ALLOCATOR: Switch = Switch;

fn main() -> ExitCode {
    tress_bench::main()
}
