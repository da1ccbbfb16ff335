//! The smallest program: tasks, a timer, and a value that comes back.
//!
//! ```text
//! cargo run --release --example hello
//! ```

use std::time::Duration;

#[tress::main]
async fn main() {
    let greetings = ["hello", "from", "tress"].into_iter().enumerate().map(|(place, word)| {
        tress::spawn(async move {
            tress::time::sleep(Duration::from_millis(20 * place as u64)).await;
            println!("{word}");
            word.len()
        })
    });

    let mut letters = 0;
    for greeting in greetings.collect::<Vec<_>>() {
        match greeting.await {
            Ok(count) => letters += count,
            Err(error) => eprintln!("a greeting went missing: {error}"),
        }
    }
    println!("{letters} letters in all");
}
