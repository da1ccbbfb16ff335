use quote::quote;

use super::*;

fn expanded(entry: Entry, arguments: TokenStream, item: TokenStream) -> String {
    expand(entry, arguments, item).to_string()
}

fn error(entry: Entry, arguments: TokenStream, item: TokenStream) -> String {
    let text = expanded(entry, arguments, item);
    assert!(text.contains("compile_error"), "no error in: {text}");
    text
}

#[test]
fn arguments_reach_the_builder() {
    let text = expanded(
        Entry::Main,
        quote!(worker_threads = 3, crate = my::tress),
        quote!(
            async fn main() {}
        ),
    );
    assert!(text.contains("my :: tress :: Builder :: new () . worker_threads (3) . build ()"), "{text}");
    assert!(!text.contains("async fn"), "{text}");
}

#[test]
fn main_leaves_the_number_of_workers_to_the_builder() {
    let text = expanded(
        Entry::Main,
        quote!(),
        quote!(
            async fn main() {}
        ),
    );
    assert!(text.contains(":: tress :: Builder :: new () . build ()"), "{text}");
}

#[test]
fn tests_have_two_workers_and_the_test_attribute() {
    let text = expanded(
        Entry::Test,
        quote!(),
        quote!(
            #[should_panic]
            async fn fails() {}
        ),
    );
    assert!(text.contains(". worker_threads (2)"), "{text}");
    assert!(text.contains("should_panic"), "{text}");
    assert!(text.contains(":: core :: prelude :: v1 :: test"), "{text}");
}

#[test]
fn errors_name_what_is_wrong() {
    assert!(
        error(
            Entry::Main,
            quote!(),
            quote!(
                fn main() {}
            )
        )
        .contains("`async` keyword is missing")
    );
    assert!(
        error(
            Entry::Main,
            quote!(workers = 2),
            quote!(
                async fn main() {}
            )
        )
        .contains("unknown argument `workers`")
    );
    assert!(
        error(
            Entry::Main,
            quote!(worker_threads = 0),
            quote!(
                async fn main() {}
            )
        )
        .contains("at least one worker")
    );
    assert!(
        error(
            Entry::Main,
            quote!(worker_threads = "2"),
            quote!(
                async fn main() {}
            )
        )
        .contains("is a number")
    );
    let twice = quote!(worker_threads = 1, worker_threads = 2);
    assert!(
        error(
            Entry::Main,
            twice,
            quote!(
                async fn main() {}
            )
        )
        .contains("given twice")
    );
    assert!(
        error(
            Entry::Test,
            quote!(),
            quote!(
                async fn takes(_: u8) {}
            )
        )
        .contains("takes no arguments")
    );
    assert!(
        error(
            Entry::Test,
            quote!(),
            quote!(
                #[test]
                async fn twice() {}
            )
        )
        .contains("run twice")
    );
    assert!(
        error(
            Entry::Main,
            quote!(),
            quote!(
                async fn main(&self) {}
            )
        )
        .contains("method")
    );
}

#[test]
fn what_is_no_function_is_an_error() {
    error(
        Entry::Main,
        quote!(),
        quote!(
            struct Main;
        ),
    );
}
