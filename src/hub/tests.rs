#![allow(clippy::unwrap_used)]
use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread;

use super::*;
use crate::hash::of_bytes;

const NAME: &str = "nvidia/small";
const WANTED: [Wanted; 2] = [&["config.json"], &["weights.safetensors", "weights.pt"]];
const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

/// A hub with one repository. Small files come from it, `weights.pt` from a store that it sends us to; `old/name` has moved.
#[derive(Clone)]
struct Shop {
    files: BTreeMap<&'static str, Vec<u8>>,
    token: Option<&'static str>,
    /// The store's next answer ends after so many bytes.
    torn: Arc<Mutex<Option<usize>>>,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Shop {
    fn new(weights: &[u8]) -> Self {
        let files = [("config.json", b"{}".to_vec()), ("weights.pt", weights.to_vec())].into();
        Self { files, token: None, torn: Arc::default(), asked: Arc::default() }
    }

    /// Opens it for the rest of the test.
    fn open(&self) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let (shop, origin) = (self.clone(), address.clone());
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                shop.answer(stream, &origin);
            }
        });
        address
    }

    fn answer(&self, stream: TcpStream, origin: &str) {
        let mut lines = BufReader::new(&stream).lines().map_while(Result::ok).take_while(|line| !line.is_empty());
        let Some(request) = lines.next() else { return };
        let headers: Vec<String> = lines.map(|line| line.to_ascii_lowercase()).collect();
        let header = |name: &str| headers.iter().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        let (method, path) = request.trim_end_matches(" HTTP/1.1").split_once(' ').unwrap();
        let from = header("range").and_then(|range| range.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok());
        self.asked.lock().unwrap().push(format!("{method} {path} from {}", from.unwrap_or(0)));
        let mut out = &stream;
        let mut send = |status: &str, headers: &str, body: &[u8]| {
            let body = if method == "HEAD" { &[] } else { body };
            let head = format!("HTTP/1.1 {status}\r\nConnection: close\r\n{headers}\r\n");
            // A client that has seen enough hangs up.
            let _ = out.write_all(head.as_bytes()).and_then(|()| out.write_all(body));
        };
        if let Some(file) = path.strip_prefix("/store/") {
            let body = &self.files[file][from.unwrap_or(0)..];
            let end = self.torn.lock().unwrap().take().unwrap_or(body.len()).min(body.len());
            let status = if from.is_some() { "206 Partial Content" } else { "200 OK" };
            return send(status, &format!("Content-Length: {}\r\n", body.len()), &body[..end]);
        }
        if let Some(rest) = path.strip_prefix("/old/name/") {
            return send("307 Moved", &format!("Location: /{NAME}/{rest}\r\nContent-Length: 0\r\n"), b"");
        }
        let wrong = |token| header("authorization") != Some(&format!("bearer {token}"));
        let rest = path.strip_prefix(&format!("/{NAME}/resolve/")).filter(|_| !self.token.is_some_and(wrong));
        let Some((revision, file)) = rest.and_then(|rest| rest.split_once('/')) else {
            return send("401 Unauthorized", "X-Error-Code: RepoNotFound\r\nContent-Length: 0\r\n", b"");
        };
        let Some(body) = self.files.get(file).filter(|_| ["main", COMMIT].contains(&revision)) else {
            return send("404 Not Found", "X-Error-Code: EntryNotFound\r\nContent-Length: 0\r\n", b"");
        };
        let headers = format!("X-Repo-Commit: {COMMIT}\r\n");
        if file == "weights.pt" {
            let (hash, size) = (of_bytes(body), body.len());
            let linked = format!("X-Linked-Etag: \"{hash}\"\r\nX-Linked-Size: {size}\r\nContent-Length: 0\r\n");
            return send("302 Found", &format!("{headers}{linked}Location: {origin}/store/{file}\r\n"), b"");
        }
        let etag = if file == "config.json" { "abc123".to_owned() } else { of_bytes(body)[..40].to_owned() };
        send("200 OK", &format!("{headers}ETag: \"{etag}\"\r\nContent-Length: {}\r\n", body.len()), body);
    }

    /// What was asked since the last call.
    fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.asked.lock().unwrap())
    }
}

fn hub(cache: &Path, endpoint: &str) -> Hub {
    Hub { cache: Some(cache.to_owned()), endpoint: endpoint.to_owned(), token: None, offline: false }
}

#[test]
fn what_is_downloaded_lies_where_python_looks_and_is_not_asked_for_again() {
    let weights = vec![7; 100_000];
    let shop = Shop::new(&weights);
    let cache = tempfile::tempdir().unwrap();
    let hub = hub(cache.path(), &shop.open());
    let folder = hub.resolve(NAME, &WANTED).unwrap();
    let repository = cache.path().join("models--nvidia--small");
    assert_eq!(folder, repository.join("snapshots").join(COMMIT));
    assert!(fs::read(folder.join("weights.pt")).unwrap() == weights);
    assert_eq!(fs::read(repository.join("refs/main")).unwrap(), COMMIT.as_bytes());
    let mut blobs: Vec<_> = fs::read_dir(repository.join("blobs"))
        .unwrap()
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .collect();
    blobs.sort();
    let mut expected = ["abc123".to_owned(), of_bytes(&weights)];
    expected.sort();
    assert_eq!(blobs, expected);
    #[cfg(unix)]
    assert_eq!(fs::read_link(folder.join("config.json")).unwrap(), Path::new("../../blobs/abc123"));

    let resolve = format!("/{NAME}/resolve");
    let expected = [
        format!("HEAD {resolve}/main/config.json from 0"),
        format!("HEAD {resolve}/{COMMIT}/weights.safetensors from 0"),
        format!("HEAD {resolve}/{COMMIT}/weights.pt from 0"),
        format!("GET {resolve}/{COMMIT}/config.json from 0"),
        format!("GET {resolve}/{COMMIT}/weights.pt from 0"),
        "GET /store/weights.pt from 0".to_owned(),
    ];
    assert_eq!(shop.asked(), expected);
    for offline in [false, true] {
        assert_eq!(Hub { offline, ..self::hub(cache.path(), &hub.endpoint) }.resolve(NAME, &WANTED).unwrap(), folder);
    }
    assert_eq!(shop.asked(), [""; 0]);
    // A file that the cache lacks, and nothing else.
    fs::remove_file(folder.join("config.json")).unwrap();
    fs::remove_file(repository.join("blobs/abc123")).unwrap();
    hub.resolve(NAME, &WANTED).unwrap();
    assert_eq!(shop.asked().iter().filter(|line| line.starts_with("GET")).count(), 1);
}

#[test]
fn shards_come_with_the_index_that_names_them() {
    const INDEX: &str = "weights.safetensors.index.json";
    const WANTED: [Wanted; 2] = [&["config.json"], &["weights.safetensors", INDEX, "weights.pt"]];
    let mut shop = Shop::new(b"");
    let shards = ["weights-1-of-2.safetensors", "weights-2-of-2.safetensors"];
    let index = |names: [&str; 2]| format!("{{\"weight_map\": {{\"a\": {:?}, \"b\": {:?}}}}}", names[0], names[1]);
    shop.files.insert(INDEX, index(shards).into_bytes());
    shop.files.insert(shards[0], vec![1; 10]);
    let cache = tempfile::tempdir().unwrap();
    let error = hub(cache.path(), &shop.open()).resolve(NAME, &WANTED).unwrap_err();
    assert!(matches!(&error, HubError::Missing { files, .. } if files == shards[1]), "{error}");
    assert!(find(cache.path(), NAME).is_none());

    shop.files.insert(shards[1], vec![2; 10]);
    let hub = hub(cache.path(), &shop.open());
    let folder = hub.resolve(NAME, &WANTED).unwrap();
    assert_eq!(shards.map(|shard| fs::read(folder.join(shard)).unwrap()), [vec![1; 10], vec![2; 10]]);
    shop.asked();
    hub.resolve(NAME, &WANTED).unwrap();
    assert_eq!(shop.asked(), [""; 0]);
    // One of them is no longer there.
    fs::remove_file(folder.join(shards[0])).unwrap();
    hub.resolve(NAME, &WANTED).unwrap();
    assert!(folder.join(shards[0]).is_file());

    shop.files.insert(INDEX, index(["../evil", shards[1]]).into_bytes());
    let other = tempfile::tempdir().unwrap();
    let error = self::hub(other.path(), &shop.open()).resolve(NAME, &WANTED).unwrap_err();
    assert!(matches!(&error, HubError::Index(_)), "{error}");
}

#[test]
fn a_torn_download_goes_on_where_it_ended() {
    let weights: Vec<u8> = (0..100_000_u32).map(|n| (n % 251) as u8).collect();
    let shop = Shop::new(&weights);
    let cache = tempfile::tempdir().unwrap();
    let hub = hub(cache.path(), &shop.open());
    *shop.torn.lock().unwrap() = Some(40_000);
    let error = hub.resolve(NAME, &WANTED).unwrap_err();
    assert!(matches!(error, HubError::Unreachable { .. }), "{error}");
    // Half a file is no file: neither here nor for Python.
    assert!(find(cache.path(), NAME).is_none());
    shop.asked();
    let folder = hub.resolve(NAME, &WANTED).unwrap();
    assert!(fs::read(folder.join("weights.pt")).unwrap() == weights);
    assert!(shop.asked().contains(&"GET /store/weights.pt from 40000".to_owned()));
}

#[test]
fn other_bytes_than_were_promised_are_refused() {
    let mut shop = Shop::new(&[1; 1000]);
    let cache = tempfile::tempdir().unwrap();
    // What was left of another file of that name.
    let blobs = cache.path().join("models--nvidia--small/blobs");
    fs::create_dir_all(&blobs).unwrap();
    fs::write(blobs.join(format!("{}.incomplete", of_bytes(&[1; 1000]))), [2; 500]).unwrap();
    let endpoint = shop.open();
    let error = hub(cache.path(), &endpoint).resolve(NAME, &WANTED).unwrap_err();
    assert!(matches!(&error, HubError::Answer { found, .. } if found.starts_with("SHA-256")), "{error}");
    hub(cache.path(), &endpoint).resolve(NAME, &WANTED).unwrap();
    // A name for a blob that would lead out of the cache.
    shop.files.insert("config.json", Vec::new());
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        let mut stream = listener.accept().unwrap().0;
        let _ = BufReader::new(&stream).lines().map_while(Result::ok).take_while(|line| !line.is_empty()).count();
        let headers = format!("X-Repo-Commit: {COMMIT}\r\nETag: \"../../../evil\"\r\nContent-Length: 2\r\n");
        let _ = stream.write_all(format!("HTTP/1.1 200 OK\r\nConnection: close\r\n{headers}\r\n").as_bytes());
    });
    let other = tempfile::tempdir().unwrap();
    let error = hub(other.path(), &endpoint).resolve(NAME, &WANTED).unwrap_err();
    assert!(matches!(&error, HubError::Answer { found, .. } if found.contains("evil")), "{error}");
    assert_eq!(fs::read_dir(other.path()).unwrap().count(), 0);
}

#[test]
fn a_token_is_shown_and_a_name_may_have_moved() {
    let shop = Shop { token: Some("secret"), ..Shop::new(b"weights") };
    let cache = tempfile::tempdir().unwrap();
    let hub = hub(cache.path(), &shop.open());
    let error = hub.resolve(NAME, &WANTED).unwrap_err();
    assert!(matches!(error, HubError::Refused { status: 401, .. }), "{error}");
    let hub = Hub { token: Some("secret".to_owned()), ..hub };
    hub.resolve(NAME, &WANTED).unwrap();
    hub.resolve("old/name", &WANTED).unwrap();
    assert!(find(cache.path(), "old/name").is_some());
    let error = hub.resolve(NAME, &[&["config.json"], &["nothing.pt"]]).unwrap_err();
    assert!(matches!(&error, HubError::Missing { files, .. } if files == "nothing.pt"), "{error}");
}

#[test]
fn without_a_network_one_line_says_what_to_do() {
    let cache = tempfile::tempdir().unwrap();
    // A port that nobody listens on.
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let hub = hub(cache.path(), &format!("http://{closed}"));
    for hub in [Hub { offline: true, ..self::hub(cache.path(), "") }, hub] {
        let error = hub.resolve(NAME, &WANTED).unwrap_err();
        let (cause, remedy) = (error.to_string(), error.remedy().unwrap());
        assert!(cause.contains(NAME) && !cause.contains('\n'), "{cause}");
        assert!(remedy.contains("hf download nvidia/small config.json weights.pt --local-dir DIR"), "{remedy}");
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_str().unwrap();
    let offline = || Hub { offline: true, ..self::hub(cache.path(), "") };
    assert_eq!(offline().resolve(path, &WANTED).unwrap(), folder.path());
    assert!(matches!(offline().resolve("no/such/folder", &WANTED), Err(HubError::NotFound { .. })));
}
