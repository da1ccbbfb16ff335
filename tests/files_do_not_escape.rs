//! `examples/http_server` serves the files of its directory as they are, and nothing else.

mod example_process;
mod raw_http;
mod watchdog;

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use example_process::HttpServer;
use raw_http::{exchange, status};
use watchdog::watchdog;

const SECRET: &str = "the secret beside the directory";

/// A directory with a secret beside it, removed at the end.
struct Tree(PathBuf);

impl Tree {
    fn new() -> Self {
        let tree = std::env::temp_dir().join(format!("tress-files-{}", std::process::id()));
        let public = tree.join("public");
        fs::create_dir_all(public.join("sub")).unwrap();
        fs::create_dir_all(tree.join("public-not")).unwrap();
        fs::write(tree.join("secret.txt"), SECRET).unwrap();
        fs::write(tree.join("public-not/secret.txt"), SECRET).unwrap();
        fs::write(public.join("a.txt"), "plain").unwrap();
        fs::write(public.join("sub/page.html"), "<p>page").unwrap();
        fs::write(public.join("with space.json"), "{}").unwrap();
        fs::write(public.join("empty"), "").unwrap();
        fs::write(public.join("large.bin"), vec![7; 300_000]).unwrap();
        #[cfg(unix)]
        {
            use std::os::unix::fs::symlink;
            symlink("../secret.txt", public.join("link.txt")).unwrap();
            symlink("..", public.join("up")).unwrap();
            symlink("/", public.join("slash")).unwrap();
            symlink("a.txt", public.join("inside.txt")).unwrap();
            let fifo = std::process::Command::new("mkfifo").arg(public.join("fifo")).status().unwrap();
            assert!(fifo.success());
        }
        Self(tree)
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn only_files_of_the_directory_are_served() {
    let _watchdog = watchdog(Duration::from_secs(60));
    let tree = Tree::new();
    let server = HttpServer::start(&["--workers", "2", "--dir", tree.0.join("public").to_str().unwrap()]);
    let ask = |method: &str, path: &str| {
        let request = format!("{method} {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
        exchange(server.address, request.as_bytes())
    };
    let body = |answer: &str| answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap();

    for (path, content, content_type) in [
        ("/files/a.txt", "plain", "text/plain"),
        ("/files/inside.txt", "plain", "text/plain"),
        ("/files/sub/page.html", "<p>page", "text/html"),
        ("/files/with%20space.json", "{}", "application/json"),
        ("/files/sub/../a.txt", "plain", "text/plain"),
        ("/files/%61.txt", "plain", "text/plain"),
        ("/files/empty", "", "application/octet-stream"),
    ] {
        let answer = ask("GET", path);
        assert_eq!(status(&answer), "200", "{path}: {answer}");
        assert_eq!(body(&answer), content, "{path}");
        assert!(answer.contains(&format!("content-type: {content_type}")), "{answer}");
        assert!(answer.contains(&format!("content-length: {}", content.len())), "{answer}");
        let head = ask("HEAD", path);
        assert_eq!(status(&head), "200", "{path}: {head}");
        assert_eq!(body(&head), "", "{path}");
        assert!(head.contains(&format!("content-length: {}", content.len())), "{head}");
    }
    assert_eq!(body(&ask("GET", "/files/large.bin")).len(), 300_000);

    let mut escapes: Vec<String> = [
        "/files/../secret.txt",
        "/files/sub/../../secret.txt",
        "/files/%2e%2e/secret.txt",
        "/files/.%2e/secret.txt",
        "/files/..%2fsecret.txt",
        "/files/%2e%2e%2fsecret.txt",
        "/files/..%5csecret.txt",
        "/files/../public-not/secret.txt",
        "/files/link.txt",
        "/files/up/secret.txt",
        "/files//etc/passwd",
        "/files/%2fetc/passwd",
        "/files/slash/etc/passwd",
        "/files/sub/../../../../../../../../../../etc/passwd",
        "/files/",
        "/files/.",
        "/files/..",
        "/files/sub",
        "/files/fifo",
        "/files/missing",
        "/files/a.txt/",
        "/files",
    ]
    .map(str::to_owned)
    .into();
    escapes.push(format!("/files/{}", tree.0.join("secret.txt").display()));
    for path in &escapes {
        let answer = ask("GET", path);
        assert_eq!(status(&answer), "404", "{path}: {answer}");
        assert!(!answer.contains(SECRET) && !answer.contains("root:"), "{path}: {answer}");
    }
    for path in [
        "/files/a.txt%00",
        "/files/%",
        "/files/%4",
        "/files/%zz",
        "/files/%+1",
        "/files/%ff",
        "/files/a%00/../x",
    ] {
        assert_eq!(status(&ask("GET", path)), "400", "{path}");
    }
    for (method, path, allow) in [
        ("POST", "/files/a.txt", "GET, HEAD"),
        ("DELETE", "/plaintext", "GET, HEAD"),
        ("GET", "/echo", "POST, PUT"),
    ] {
        let answer = ask(method, path);
        assert_eq!(status(&answer), "405", "{answer}");
        assert!(answer.contains(&format!("allow: {allow}")), "{answer}");
    }
}
