//! The list of workloads.

use crate::catalog::{PLAIN, WORKLOADS};

/// Prints every workload with its variants, unit and peers.
pub(crate) fn print_list() {
    for workload in WORKLOADS {
        let peers: Vec<&str> = workload.peers.iter().map(|peer| peer.name()).collect();
        println!("{}: {}", workload.name, workload.about);
        if workload.variants != [PLAIN] {
            let variants: Vec<String> =
                workload.variants.iter().map(|variant| workload.label(variant)).collect();
            println!("    variants: {}", variants.join(", "));
        }
        println!("    {}, {} is better; {}", workload.unit, workload.better.as_str(), peers.join(", "));
    }
}
