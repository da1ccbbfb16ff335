//! The list of workloads.

use std::io::{self, Write};

use crate::catalog::{PLAIN, WORKLOADS};

/// Prints every workload with its variants, unit and peers.
pub(crate) fn print_list(out: &mut dyn Write) -> io::Result<()> {
    for workload in WORKLOADS {
        let peers: Vec<&str> = workload.peers.iter().map(|peer| peer.name()).collect();
        writeln!(out, "{}: {}", workload.name, workload.about)?;
        if workload.variants != [PLAIN] {
            let variants: Vec<String> =
                workload.variants.iter().map(|variant| workload.label(variant)).collect();
            writeln!(out, "    variants: {}", variants.join(", "))?;
        }
        writeln!(out, "    {}, {} is better; {}", workload.unit, workload.better.as_str(), peers.join(", "))?;
    }
    Ok(())
}
